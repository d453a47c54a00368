-- Behind PgBouncer: what CMP says for itself when it connects directly.
ALTER ROLE cmp SET lock_timeout = '10s';
ALTER ROLE cmp SET statement_timeout = '30s';
ALTER ROLE cmp SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE cmp SET jit = off;
ALTER ROLE cmp SET default_transaction_isolation = 'read committed';
-- For CMP_DATABASE_REPLICA_URL: to see what the replica follows.
GRANT pg_read_all_stats TO cmp;
