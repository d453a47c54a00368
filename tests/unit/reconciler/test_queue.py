"""Hints become few visits, owners take turns, one visit of a cluster at a time."""

import asyncio
import uuid

from app.reconciler.queue import Queue

A, B, C = (uuid.UUID(int=n) for n in (1, 2, 3))


async def test_ten_hints_are_one_visit() -> None:
    queue = Queue()
    for _ in range(10):
        queue.hint(A)
        queue.put(A)
    assert len(queue) == 1
    assert await queue.get() == A
    assert (len(queue), queue.visiting) == (0, 1)


async def test_a_hint_during_a_visit_is_one_more_after_it() -> None:
    queue = Queue()
    queue.put(A)
    await queue.get()
    for _ in range(5):
        queue.hint(A)
    assert len(queue) == 0
    queue.done(A, rest=0.01)
    assert len(queue) == 0, "a stream of hints rests between visits"
    assert await asyncio.wait_for(queue.get(), 1) == A
    queue.done(A, rest=0.01)
    await asyncio.sleep(0.03)
    assert len(queue) == 0


async def test_a_wish_during_a_visit_does_not_rest() -> None:
    queue = Queue()
    queue.put(A)
    await queue.get()
    queue.put(A)
    queue.done(A, rest=60)
    assert len(queue) == 1


async def test_hints_rest_and_wishes_do_not() -> None:
    queue = Queue()
    queue.put(A)
    await queue.get()
    queue.done(A, rest=60)
    queue.hint(A)
    assert len(queue) == 0
    queue.put(A)
    assert len(queue) == 1
    queue.close()


async def test_later_and_sooner() -> None:
    queue = Queue()
    queue.put_later(A, 60)
    queue.put_later(A, 0.01)
    queue.put_later(A, 30)
    assert await asyncio.wait_for(queue.get(), 1) == A
    queue.close()


async def test_owners_take_turns() -> None:
    queue = Queue()
    many = [uuid.uuid4() for _ in range(100)]
    for key in many:
        queue.put(key, B)
    queue.put(A, C)
    assert [await queue.get() for _ in range(2)] == [many[0], A]
    queue.done(A, rest=0)
    queue.put(A)
    assert [await queue.get() for _ in range(2)] == [many[1], A]


async def test_quiet_when_nothing_is_visited() -> None:
    queue = Queue()
    await asyncio.wait_for(queue.quiet(), 1)
    queue.put(A)
    await queue.get()
    waiting = asyncio.create_task(queue.quiet())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(A, rest=0)
    await asyncio.wait_for(waiting, 1)
