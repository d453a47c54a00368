"""Passwords: Argon2id in a small pool of threads, so that signing in slows nothing else and exhausts no memory."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from zxcvbn import zxcvbn

from app.errors import Invalid, Unavailable

_THREADS = 2
_WAITING = 32
_STRONG = 3  # of 4: safely unguessable for an offline attacker who is slowed down, says zxcvbn
# What whoever guesses here tries first; docs/how-to/sign-in.md lists them.
_NEAR = (
    "cmp",
    "cloud",
    "platform",
    "management",
    "kubernetes",
    "kubevirt",
    "cluster",
    "container",
    "instance",
    "tenant",
)
_JUDGED = 72  # zxcvbn takes long for what is long
T = TypeVar("T")


class Passwords:
    """The library's own parameters (RFC 9106, low memory): 64 MiB for each that is being hashed."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str, username: str) -> str:
        """Raises Invalid, saying what would be better; Unavailable when too many wait. Its length is the schema's."""
        weakness = await self._run(lambda: _weakness(password, username))
        if weakness:
            raise Invalid(weakness)
        return await self._run(lambda: self._hasher.hash(password))

    async def check(self, password: str, kept: str | None) -> bool:
        """As slow for somebody who has none, or is not there, as for somebody who has."""
        return await self._run(lambda: self._fits(password, kept or self._nobodys)) and kept is not None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fits(self, password: str, kept: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise Unavailable("Too many are signing in at this moment. Try again shortly.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _weakness(password: str, username: str) -> str | None:
    judged = zxcvbn(password[:_JUDGED], user_inputs=[username, *_NEAR])
    if judged["score"] >= _STRONG:
        return None
    advice = " ".join(filter(None, [judged["feedback"]["warning"], *judged["feedback"]["suggestions"]]))
    return f"This password is easily guessed. {advice}".strip()
