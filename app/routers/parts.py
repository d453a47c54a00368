"""The parts of the running app, put together from the settings; `main` opens them in order."""

from datetime import timedelta

from app import auth
from app.database import Database, Reads, replica_at
from app.routers.deps import State
from app.routers.kept import Kept
from app.services.audit import Audit
from app.services.catalogue import Catalogue
from app.services.events import Broadcaster
from app.services.oauth import Grants
from app.services.sign_ins import Gate
from app.services.streams import Streams
from app.services.tokens import LastUsed
from app.settings import Settings


def of(settings: Settings) -> State:
    database = Database(settings.database(), pool_size=settings.database_pool, tls=settings.database_tls)
    broadcaster = Broadcaster(database)
    idle, lifetime = timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_hours)
    access_tokens = auth.AccessTokens(
        database, settings.issuer(), settings.access_token_seconds, settings.signing_key_days
    )
    gate = Gate(database, auth.Passwords(), _throttle(settings))
    return State(
        settings,
        database,
        _reads(settings, database),
        broadcaster,
        Catalogue(database),
        _streams(settings, database, broadcaster),
        LastUsed(database, idle, lifetime),
        access_tokens,
        gate,
        Grants(gate, access_tokens, timedelta(days=settings.sign_in_days)),
        Audit(database),
        Kept(settings.cache_mib),
        _provider(settings),
    )


def _reads(settings: Settings, database: Database) -> Reads:
    url = settings.database_replica_url.get_secret_value() if settings.database_replica_url is not None else None
    replica = replica_at(url, pool_size=settings.database_pool, tls=settings.database_tls) if url else None
    return Reads(database, replica)


def _throttle(settings: Settings) -> auth.Throttle:
    return auth.Throttle(
        redis=settings.redis_url.get_secret_value() if settings.redis_url is not None else None,
        per_address=settings.rate_address,
        per_token=settings.rate_token,
        per_account=settings.rate_account,
    )


def _provider(settings: Settings) -> auth.Provider | None:
    if settings.oidc_issuer is None:
        return None
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret is not None else None
    return auth.Provider(settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_scope)


def _streams(settings: Settings, database: Database, broadcaster: Broadcaster) -> Streams:
    return Streams(
        database,
        most=settings.streams_per_process,
        most_of_account=settings.streams_per_account,
        idle_seconds=settings.stream_idle_seconds,
        lifetime_seconds=settings.stream_lifetime_seconds,
        on_commit=broadcaster.wake,
    )
