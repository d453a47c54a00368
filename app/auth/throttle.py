"""How often one may be wrong: counted by who is guessed at *and* from where, so that nobody locks anybody else out."""

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.errors import TooMany

# Failures: of one address against one name, and of one address altogether.
_ONE_NAME = RateLimitItemPerMinute(10, 5)
_ALL_NAMES = RateLimitItemPerMinute(60, 5)


class Throttle:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def before(self, address: str, name: str) -> None:
        """Raises TooMany."""
        named = await self._limiter.test(_ONE_NAME, "sign-in", address, name)
        if not named or not await self._limiter.test(_ALL_NAMES, "sign-in", address):
            raise TooMany("Too many failed attempts from this address. Wait five minutes, then try again.")

    async def failed(self, address: str, name: str) -> None:
        await self._limiter.hit(_ONE_NAME, "sign-in", address, name)
        await self._limiter.hit(_ALL_NAMES, "sign-in", address)
