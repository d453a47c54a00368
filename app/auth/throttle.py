"""How often one may ask, and how often be wrong.

Failures are counted by who is guessed at *and* from where, so that nobody locks anybody else out. In Redis, where there
is one, all processes count together; while it is away each counts for itself.
"""

import time
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from app.errors import TooMany

log = structlog.get_logger("cmp.throttle")

# Failures: of one address against one name, and of one address altogether.
_ONE_NAME = RateLimitItemPerMinute(10, 5)
_ALL_NAMES = RateLimitItemPerMinute(60, 5)
_MINUTE = 60
_SAY_AGAIN = 60.0


class Throttle:
    """`per_*`: requests a minute, 0 for no limit. `redis`: a URL."""

    def __init__(
        self, *, redis: str | None = None, per_address: int = 0, per_token: int = 0, per_account: int = 0
    ) -> None:
        self._memory = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = self._memory
        self._pool: Any = None
        self._errors: tuple[type[Exception], ...] = ()
        if redis is not None:
            # Its client takes long to import, and brings parts of OpenTelemetry's SDK with it.
            from redis.asyncio import ConnectionPool
            from redis.exceptions import RedisError

            self._pool = ConnectionPool.from_url(redis, socket_timeout=1)
            self._shared = SlidingWindowCounterRateLimiter(_storage(self._pool))
            self._errors = (RedisError,)
        self._address = RateLimitItemPerMinute(per_address) if per_address else None
        self._token = RateLimitItemPerMinute(per_token) if per_token else None
        self._account = RateLimitItemPerMinute(per_account) if per_account else None
        self._said = float("-inf")

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def address(self, address: str) -> None:
        """Raises TooMany; so do the others."""
        await self._asked(self._address, "address", address, "from this address")

    async def token(self, token_hash: str) -> None:
        await self._asked(self._token, "token", token_hash, "with this token")

    async def account(self, account_id: str) -> None:
        await self._asked(self._account, "account", account_id, "of this account")

    async def before(self, address: str, name: str) -> None:
        """Before a secret is looked at. Raises TooMany."""
        named = await self._test(_ONE_NAME, "failed", address, name)
        if not named or not await self._test(_ALL_NAMES, "failed", address):
            raise TooMany(
                "Too many failed attempts from this address. Wait five minutes, then try again.", retry_after=300
            )

    async def failed(self, address: str, name: str) -> None:
        await self._hit(_ONE_NAME, "failed", address, name)
        await self._hit(_ALL_NAMES, "failed", address)

    async def _asked(self, limit: RateLimitItem | None, what: str, who: str, words: str) -> None:
        if limit is not None and not await self._hit(limit, what, who):
            raise TooMany(f"Too many requests {words}: {limit.amount} a minute. Wait a little.", retry_after=_MINUTE)

    async def _hit(self, limit: RateLimitItem, *key: str) -> bool:
        try:
            return await self._shared.hit(limit, *key)
        except self._errors as error:
            self._away(error)
            return await self._memory.hit(limit, *key)

    async def _test(self, limit: RateLimitItem, *key: str) -> bool:
        try:
            return await self._shared.test(limit, *key)
        except self._errors as error:
            self._away(error)
            return await self._memory.test(limit, *key)

    def _away(self, error: Exception) -> None:
        if time.monotonic() - self._said > _SAY_AGAIN:
            self._said = time.monotonic()
            log.warning("redis.away", why=type(error).__name__, meanwhile="each process counts for itself")


def _storage(pool: Any) -> Storage:
    options: dict[str, Any] = {"implementation": "redispy", "key_prefix": "cmp", "connection_pool": pool}
    made = storage_from_string("async+redis://", **options)
    assert isinstance(made, Storage)
    return made
