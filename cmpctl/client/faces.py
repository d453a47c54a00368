"""What the generated calls stand on: sending one call, and going through a list page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cmpctl.client.core import Call

if TYPE_CHECKING:
    from cmpctl.client.models import Listing

T = TypeVar("T")


class SyncSender(Protocol):
    def send(self, call: Call) -> Any: ...


class AsyncSender(Protocol):
    async def send(self, call: Call) -> Any: ...


class SyncPages(Generic[T]):
    """A list. Going through it fetches page after page; `page` fetches one."""

    def __init__(self, client: SyncSender, call: Call) -> None:
        self._client = client
        self._call = call

    def page(self, cursor: str | None = None) -> Listing[T]:
        found: Listing[T] = self._client.send(_from(self._call, cursor))
        return found

    def __iter__(self) -> Iterator[T]:
        cursor = None
        while True:
            page = self.page(cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


class AsyncPages(Generic[T]):
    """A list. Going through it fetches page after page; `page` fetches one."""

    def __init__(self, client: AsyncSender, call: Call) -> None:
        self._client = client
        self._call = call

    async def page(self, cursor: str | None = None) -> Listing[T]:
        found: Listing[T] = await self._client.send(_from(self._call, cursor))
        return found

    async def __aiter__(self) -> AsyncIterator[T]:
        cursor = None
        while True:
            page = await self.page(cursor)
            for item in page["items"]:
                yield item
            cursor = page["next_cursor"]
            if cursor is None:
                return


class SyncFace:
    def __init__(self, client: SyncSender) -> None:
        self._client = client

    def _send(self, call: Call) -> Any:
        return self._client.send(call)

    def _pages(self, call: Call) -> SyncPages[Any]:
        return SyncPages(self._client, call)


class AsyncFace:
    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def _send(self, call: Call) -> Any:
        return await self._client.send(call)

    def _pages(self, call: Call) -> AsyncPages[Any]:
        return AsyncPages(self._client, call)


def _from(call: Call, cursor: str | None) -> Call:
    return replace(call, query={**call.query, "cursor": cursor})
