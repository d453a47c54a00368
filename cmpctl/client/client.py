"""`Client` and `AsyncClient`: the same calls, one that blocks and one to await. Both run what core.py yields."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx2

from cmpctl.client import async_calls, sync_calls
from cmpctl.client.core import (
    Answer,
    Call,
    Progress,
    Send,
    Sleep,
    Steps,
    bearer_of,
    exchange,
    failure_of,
    unreachable,
    waiting,
)
from cmpctl.client.credentials import Credentials
from cmpctl.client.streams import (
    LARGEST_MESSAGE,
    AsyncAudit,
    AsyncEvents,
    AsyncInstances,
    Audit,
    Events,
    Instances,
)

if TYPE_CHECKING:
    from httpx2.websockets import AsyncWebSocketSession, WebSocketSession

    from cmpctl.client.models import OperationRead

T = TypeVar("T")
_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)


class _Base:
    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        credentials: Credentials | None = None,
        patience: float = 15.0,
        verify: Any = True,
    ) -> None:
        """`url`: where CMP is, such as https://cmp.example.org. `patience`: for how many seconds what may safely be
        tried again is. `verify`: an `ssl.SSLContext` for a private authority.
        """
        self.url = url.rstrip("/")
        self.credentials = credentials or (Credentials(token) if token else None)
        self.patience = patience
        # What loads authorities takes longer than everything else a short command does.
        self._verify = verify if self.url.startswith("https:") else False

    def _exchange(self, call: Call) -> Steps[Answer]:
        return exchange(call, self.credentials, self.patience)

    def _waiting(
        self, operation: OperationRead | str, timeout: float | None, progress: Progress | None
    ) -> Steps[OperationRead]:
        # A server may be away for a minute while it is replaced: what runs goes on meanwhile.
        return waiting(operation, self.credentials, max(60.0, self.patience), timeout, progress)

    def _bearer(self) -> Steps[dict[str, str]]:
        bearer = yield from bearer_of(self.credentials)
        return {"Authorization": f"Bearer {bearer}"} if bearer else {}


def _request(http: Any, call: Call, bearer: str | None, timeout: Any) -> httpx2.Request:
    headers = call.headers() | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    request: httpx2.Request = http.build_request(
        call.method, call.path, params=call.params(), json=call.json, data=call.form, headers=headers, timeout=timeout
    )
    return request


def _timeout(call: Call) -> httpx2.Timeout:
    return _TIMEOUT if call.timeout is None else httpx2.Timeout(call.timeout, connect=10.0)


class Client(_Base):
    """CMP, for code that blocks. Also a context manager; one for each thread."""

    def __init__(self, url: str, token: str | None = None, **how: Any) -> None:
        super().__init__(url, token, **how)
        self._http = httpx2.Client(base_url=self.url, timeout=_TIMEOUT, verify=self._verify)
        self.audit = Audit(self)
        self.clusters = sync_calls.Clusters(self)
        self.events = Events(self)
        self.flavours = sync_calls.Flavours(self)
        self.grants = sync_calls.Grants(self)
        self.identities = sync_calls.Identities(self)
        self.images = sync_calls.Images(self)
        self.instances = Instances(self)
        self.notifications = sync_calls.Notifications(self)
        self.operations = sync_calls.Operations(self)
        self.platform = sync_calls.Platform(self)
        self.policy = sync_calls.Policy(self)
        self.ssh_keys = sync_calls.SshKeys(self)
        self.tokens = sync_calls.Tokens(self)
        self.transfers = sync_calls.Transfers(self)
        self.users = sync_calls.Users(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call) -> Any:
        """What the answer's body holds."""
        return self.answer(call).data()

    def answer(self, call: Call) -> Answer:
        """The answer with its status and headers."""
        return self.run(self._exchange(call))

    def wait(
        self, operation: OperationRead | str, *, timeout: float | None = None, progress: Progress | None = None
    ) -> OperationRead:
        """Until it has succeeded. Raises OperationFailed, or StillRunning after `timeout` seconds."""
        return self.run(self._waiting(operation, timeout, progress))

    @contextmanager
    def opened(self, call: Call, silence: float | None = None) -> Iterator[httpx2.Response]:
        """An answer to read as it comes. `silence`: seconds without a byte after which it counts as broken."""
        bearer = self.run(bearer_of(self.credentials))
        timeout = httpx2.Timeout(10.0, read=silence)
        response = self._http.send(_request(self._http, call, bearer, timeout), stream=True)
        try:
            if response.status_code >= 400:
                raise failure_of(Answer(response.status_code, response.headers, response.read()))
            yield response
        finally:
            response.close()

    @contextmanager
    def connected(
        self, path: str, query: Sequence[tuple[str, str]] = (), protocol: str | None = None
    ) -> Iterator[WebSocketSession]:
        """A WebSocket to an instance: exec, port-forward, console, vnc."""
        from httpx2.websockets import WebSocketUpgradeError

        try:
            with self._http.websocket(
                path,
                params=list(query),
                subprotocols=[protocol] if protocol else None,
                headers=self.run(self._bearer()),
                max_message_size_bytes=LARGEST_MESSAGE,
            ) as session:
                yield session
        except WebSocketUpgradeError as error:
            answer = Answer(error.response.status_code, error.response.headers, error.response.read())
            raise failure_of(answer) from error
        except httpx2.TransportError as error:
            raise unreachable(error) from error

    def run(self, steps: Steps[T]) -> T:
        """What `steps` come to, as core.py has them."""
        done: Any = None
        try:
            step = next(steps)
            while True:
                try:
                    done = self._do(step)
                except httpx2.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(done)
        except StopIteration as end:
            found: T = end.value
            return found

    def _do(self, step: Send | Sleep) -> Answer | None:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        response = self._http.send(_request(self._http, step.call, step.bearer, _timeout(step.call)))
        return Answer(response.status_code, response.headers, response.content)


class AsyncClient(_Base):
    """CMP, to await. Also an async context manager."""

    def __init__(self, url: str, token: str | None = None, **how: Any) -> None:
        super().__init__(url, token, **how)
        self._http = httpx2.AsyncClient(base_url=self.url, timeout=_TIMEOUT, verify=self._verify)
        self.audit = AsyncAudit(self)
        self.clusters = async_calls.Clusters(self)
        self.events = AsyncEvents(self)
        self.flavours = async_calls.Flavours(self)
        self.grants = async_calls.Grants(self)
        self.identities = async_calls.Identities(self)
        self.images = async_calls.Images(self)
        self.instances = AsyncInstances(self)
        self.notifications = async_calls.Notifications(self)
        self.operations = async_calls.Operations(self)
        self.platform = async_calls.Platform(self)
        self.policy = async_calls.Policy(self)
        self.ssh_keys = async_calls.SshKeys(self)
        self.tokens = async_calls.Tokens(self)
        self.transfers = async_calls.Transfers(self)
        self.users = async_calls.Users(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call) -> Any:
        """What the answer's body holds."""
        return (await self.answer(call)).data()

    async def answer(self, call: Call) -> Answer:
        """The answer with its status and headers."""
        return await self.run(self._exchange(call))

    async def wait(
        self, operation: OperationRead | str, *, timeout: float | None = None, progress: Progress | None = None
    ) -> OperationRead:
        """Until it has succeeded. Raises OperationFailed, or StillRunning after `timeout` seconds."""
        return await self.run(self._waiting(operation, timeout, progress))

    @asynccontextmanager
    async def opened(self, call: Call, silence: float | None = None) -> AsyncIterator[httpx2.Response]:
        """An answer to read as it comes. `silence`: seconds without a byte after which it counts as broken."""
        bearer = await self.run(bearer_of(self.credentials))
        timeout = httpx2.Timeout(10.0, read=silence)
        response = await self._http.send(_request(self._http, call, bearer, timeout), stream=True)
        try:
            if response.status_code >= 400:
                raise failure_of(Answer(response.status_code, response.headers, await response.aread()))
            yield response
        finally:
            await response.aclose()

    @asynccontextmanager
    async def connected(
        self, path: str, query: Sequence[tuple[str, str]] = (), protocol: str | None = None
    ) -> AsyncIterator[AsyncWebSocketSession]:
        """A WebSocket to an instance: exec, port-forward, console, vnc."""
        from httpx2.websockets import WebSocketUpgradeError

        try:
            async with self._http.websocket(
                path,
                params=list(query),
                subprotocols=[protocol] if protocol else None,
                headers=await self.run(self._bearer()),
                max_message_size_bytes=LARGEST_MESSAGE,
            ) as session:
                yield session
        except WebSocketUpgradeError as error:
            answer = Answer(error.response.status_code, error.response.headers, await error.response.aread())
            raise failure_of(answer) from error
        except httpx2.TransportError as error:
            raise unreachable(error) from error

    async def run(self, steps: Steps[T]) -> T:
        done: Any = None
        try:
            step = next(steps)
            while True:
                try:
                    done = await self._do(step)
                except httpx2.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(done)
        except StopIteration as end:
            found: T = end.value
            return found

    async def _do(self, step: Send | Sleep) -> Answer | None:
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
            return None
        response = await self._http.send(_request(self._http, step.call, step.bearer, _timeout(step.call)))
        return Answer(response.status_code, response.headers, response.content)
