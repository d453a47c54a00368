"""Time for everything that happens by itself: one heap of timers whose pace can be changed while it runs.

Only delays are scaled. Time stamps in objects are always the wall clock, because clients compare them with their own.
"""

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

log = logging.getLogger("simulator.clock")


class Timer:
    """A pending call. Cancelling is lazy: the heap drops it when it comes up."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Clock:
    """Simulated seconds run `speed` times as fast as real ones; 0 stands still."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._base = 0.0
        self._since = time.monotonic()
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._base, self._since = self.now(), time.monotonic()
        self._speed = value
        self._wake.set()

    def now(self) -> float:
        return self._base + (time.monotonic() - self._since) * self._speed

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        timer = Timer(self.now() + max(delay, 0.0), call)
        heapq.heappush(self._heap, (timer.due, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._wake.set()
        return timer

    async def run(self) -> None:
        """Fire timers until cancelled, letting requests in between after each batch."""
        while True:
            self._wake.clear()
            fired = self._fire_due(limit=100)
            if fired:
                await asyncio.sleep(0)
                continue
            await self._sleep_until_next()

    def _fire_due(self, limit: int) -> int:
        fired = 0
        now = self.now()
        while self._heap and self._heap[0][0] <= now and fired < limit:
            timer = heapq.heappop(self._heap)[2]
            if timer.call is None:
                continue
            fired += 1
            try:
                timer.call()
            except Exception:
                log.exception("a simulated controller failed")
        return fired

    async def _sleep_until_next(self) -> None:
        if not self._heap or self._speed <= 0:
            await self._wake.wait()
            return
        wait = (self._heap[0][0] - self.now()) / self._speed
        if wait <= 0:
            return
        try:
            await asyncio.wait_for(self._wake.wait(), wait)
        except TimeoutError:
            return


def stamp(after: float = 0.0) -> str:
    """The wall clock `after` seconds from now, as Kubernetes writes it: whole seconds, UTC."""
    return _second(int(time.time() + after))


@lru_cache(maxsize=64)
def _second(since_epoch: int) -> str:
    """Thousands of objects are stamped within one second."""
    return datetime.fromtimestamp(since_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp() -> str:
    """The wall clock as a MicroTime (leases, events)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(text: str) -> float:
    """Real seconds since a time stamp written by `stamp` or `micro_stamp`."""
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
