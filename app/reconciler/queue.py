"""Which cluster is next, within this process: each at most once, owners in turn, one visit of a cluster at a time."""

import asyncio
import uuid
from collections import OrderedDict

_NOBODY = uuid.UUID(int=0)
_MANY = 2000
_OWNERS = 10_000


class Queue:
    """Keys with coalescing: ten hints are one visit; a hint during a visit is one more visit after it.

    Owners take turns, so that one tenant's thousand clusters do not make another's one wait.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[uuid.UUID, OrderedDict[uuid.UUID, None]] = OrderedDict()
        self._owner_of: dict[uuid.UUID, uuid.UUID] = {}
        self._visiting: set[uuid.UUID] = set()
        self._again: set[uuid.UUID] = set()
        self._again_at_once: set[uuid.UUID] = set()
        self._resting_until: dict[uuid.UUID, float] = {}
        self._timers: dict[uuid.UUID, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def put(self, key: uuid.UUID, owner: uuid.UUID | None = None) -> None:
        """At once. Only from the event loop's own thread, as everything here."""
        if owner is not None:
            self._remember_owner(key, owner)
        self._stop_timer(key)
        if key in self._visiting:
            self._again_at_once.add(key)
            return
        self._waiting.setdefault(self._owner_of.get(key, _NOBODY), OrderedDict())[key] = None
        self._filled.set()

    def hint(self, key: uuid.UUID) -> None:
        """At once too, unless it was visited a moment ago: a stream of hints is a few visits."""
        if key in self._visiting:
            self._again.add(key)
            return
        rest = self._resting_until.pop(key, 0.0) - asyncio.get_running_loop().time()
        if rest > 0:
            self._resting_until[key] = asyncio.get_running_loop().time() + rest
            self.put_later(key, rest)
        else:
            self.put(key)

    def put_later(self, key: uuid.UUID, seconds: float) -> None:
        """Unless it comes sooner anyhow."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None and known.when() <= loop.time() + seconds:
            return
        self._stop_timer(key)
        self._timers[key] = loop.call_later(seconds, self._now, key)

    async def get(self) -> uuid.UUID:
        """The next key; `done` must follow."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        owner, keys = self._waiting.popitem(last=False)
        key, _ = keys.popitem(last=False)
        if keys:
            self._waiting[owner] = keys
        self._visiting.add(key)
        self._quiet.clear()
        return key

    def done(self, key: uuid.UUID, *, rest: float) -> None:
        """The visit is over. Hints that came meanwhile, or come within `rest` seconds, wait that long."""
        self._visiting.discard(key)
        if not self._visiting:
            self._quiet.set()
        self._rest(key, rest)
        if key in self._again_at_once:
            self.put(key)
        elif key in self._again:
            self.put_later(key, rest)
        self._again.discard(key)
        self._again_at_once.discard(key)

    async def quiet(self) -> None:
        """Until no visit is under way."""
        await self._quiet.wait()

    def forget(self, key: uuid.UUID) -> None:
        self._owner_of.pop(key, None)
        self._resting_until.pop(key, None)

    def close(self) -> None:
        for key in list(self._timers):
            self._stop_timer(key)

    @property
    def visiting(self) -> int:
        return len(self._visiting)

    def __len__(self) -> int:
        return sum(map(len, list(self._waiting.values())))  # a scrape asks from a thread of its own

    def _remember_owner(self, key: uuid.UUID, owner: uuid.UUID) -> None:
        """Of the clusters claimed last: who is forgotten waits in nobody's turn until it is due again."""
        self._owner_of.pop(key, None)
        if len(self._owner_of) >= _OWNERS:
            del self._owner_of[next(iter(self._owner_of))]
        self._owner_of[key] = owner

    def _rest(self, key: uuid.UUID, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._resting_until) > _MANY:
            self._resting_until = {known: until for known, until in self._resting_until.items() if until > now}
        self._resting_until[key] = now + seconds

    def _now(self, key: uuid.UUID) -> None:
        self._timers.pop(key, None)
        self.put(key)

    def _stop_timer(self, key: uuid.UUID) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
