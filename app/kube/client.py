"""A thin Kubernetes client: raw JSON over one pooled HTTP session, a timeout on everything, no typed models.

It retries what is safe to retry and raises `errors.Refusal` or `errors.Unreachable`; what a refusal means is not its
business.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
import structlog

from app.kube.credentials import Credentials, KubeTarget
from app.kube.errors import Refusal, Unreachable, refusal
from app.kube.kinds import Kind
from app.telemetry import metrics, traces

log = structlog.get_logger("cmp.kubernetes")

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

Observer = Callable[[str, str, int, float], None]
"""Called after each call with verb, resource, HTTP status (0: no answer) and seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and how often one call is tried. `patience` bounds all tries of a call together."""

    connect: float = 5.0
    read: float = 20.0
    total: float = 30.0
    attempts: int = 5
    backoff: float = 0.2
    longest_backoff: float = 5.0
    patience: float = 45.0
    connections: int = 100


class KubeClient:
    def __init__(
        self,
        credentials: Credentials,
        *,
        version: str = "dev",
        observe_call: Observer = metrics.kubernetes_answered,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._credentials = credentials
        self._observe = observe_call
        # After a 429 every call waits, not only the one that got it.
        self._quiet_until = 0.0
        connector = aiohttp.TCPConnector(limit=self.limits.connections, ssl=credentials.ssl or True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            # KubeVirt's verbs answer nothing, which is no JSON: without */* they are 406.
            headers={"User-Agent": f"cmp/{version}", "Accept": f"{JSON}, */*"},
            timeout=aiohttp.ClientTimeout(
                total=self.limits.total, sock_connect=self.limits.connect, sock_read=self.limits.read
            ),
            trust_env=credentials.ssl is not None,
        )
        # aiohttp would repeat a PUT by itself on a reused connection: what may be repeated is decided in `_call`.
        self._session._retry_connection = False

    @classmethod
    async def connect(
        cls,
        target: KubeTarget,
        *,
        version: str = "dev",
        observe_call: Observer = metrics.kubernetes_answered,
        limits: Limits | None = None,
    ) -> "KubeClient":
        """Reads the configuration (errors.BadTarget); does not call the server yet."""
        credentials = await Credentials.load(target)
        return cls(credentials, version=version, observe_call=observe_call, limits=limits)

    @property
    def credentials(self) -> Credentials:
        """For whoever speaks to the same server on connections of its own."""
        return self._credentials

    @property
    def description(self) -> str:
        return self._credentials.description

    async def close(self) -> None:
        await self._session.close()

    async def version(self) -> str:
        """Such as v1.36.2. One try: whoever asks wants to know now."""
        answer = await self._once("get", "version", "GET", "/version")
        return str(answer.get("gitVersion") or "unknown")

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]:
        return await self._call("get", kind, "GET", kind.path(namespace, name))

    async def page(self, kind: Kind, namespace: str | None, params: Mapping[str, str]) -> dict[str, Any]:
        """One page of a list, tried once: its caller starts over from the first page."""
        return await self._once("list", kind.plural, "GET", kind.collection(namespace), params=params)

    async def create(self, kind: Kind, namespace: str | None, body: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Repeatable because the name is ours to choose: a second try answers AlreadyExists."""
        path = kind.collection(namespace)
        return await self._call("create", kind, "POST", path, params={"fieldManager": manager}, body=body)

    async def apply(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        manager: str,
        *,
        force: bool = True,
    ) -> dict[str, Any]:
        """Server-side apply; without `force`, fields that another manager owns are a conflict.

        With `metadata.uid` in the body it changes that object, never another or a new one.
        """
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        path = kind.path(namespace, name)
        return await self._call("apply", kind, "PATCH", path, params=params, body=body, content_type=APPLY_PATCH)

    async def replace(self, kind: Kind, body: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """All of it, at the resourceVersion that is in it."""
        path = kind.path(body["metadata"].get("namespace"), body["metadata"]["name"])
        return await self._call("update", kind, "PUT", path, params={"fieldManager": manager}, body=body)

    async def merge(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        manager: str,
        *,
        subresource: str = "",
        strategic: bool = False,
    ) -> dict[str, Any]:
        """`strategic`: items of lists are known by their names, as Kubernetes does it for its own kinds."""
        params = {"fieldManager": manager}
        path = kind.path(namespace, name, subresource)
        content_type = STRATEGIC_PATCH if strategic else MERGE_PATCH
        return await self._call("patch", kind, "PATCH", path, params=params, body=body, content_type=content_type)

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str, grace: int | None = None
    ) -> dict[str, Any]:
        """Of exactly this object: 409 where the name belongs to another by now. `grace`: seconds, where not its own."""
        body: dict[str, Any] = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        body |= {} if grace is None else {"gracePeriodSeconds": grace}
        return await self._call("delete", kind, "DELETE", kind.path(namespace, name), body=body)

    async def put(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        subresource: str,
        body: Mapping[str, Any],
        *,
        repeatable: bool,
    ) -> dict[str, Any]:
        path = kind.path(namespace, name, subresource)
        return await self._call(subresource, kind, "PUT", path, body=body, repeatable=repeatable)

    async def lines(
        self, kind: Kind, namespace: str | None, params: Mapping[str, str], *, idle: float, total: float
    ) -> AsyncGenerator[bytes, None]:
        """A watch, line by line, ended when the server ends it. Unreachable where nothing came for `idle` seconds.

        A line without its end is not a line: a cut answer raises instead.
        """
        started = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=self.limits.connect, sock_read=idle)
        code = 0
        try:
            await self._quiet()
            async with self._session.get(
                self._credentials.host + kind.collection(namespace),
                params=params,
                headers=await self._credentials.headers(),
                timeout=timeout,
                proxy=self._credentials.proxy,
                server_hostname=self._credentials.server_name,
            ) as response:
                code = response.status
                if code != 200:
                    self._heed(response)
                    raise refusal(code, await response.read())
                rest = b""
                async for chunk in response.content.iter_any():
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        if line.strip():
                            yield line
                if rest.strip():
                    raise Unreachable("the watch was cut in the middle of an event")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_said(error)) from error
        finally:
            self._observe("watch", kind.plural, code, time.monotonic() - started)

    async def _call(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Tried until it is answered, within `Limits`: 429 was never carried out, anything else only if repeatable."""
        deadline = time.monotonic() + self.limits.patience
        delay = self.limits.backoff
        for attempt in range(1, self.limits.attempts + 1):
            try:
                return await self._once(verb, kind.plural, method, path, params, body, content_type)
            except Unreachable as error:
                safe = repeatable or isinstance(error, _NotDone)
                pause = max(error.retry_after if isinstance(error, _NotDone) else 0.0, delay) * _jitter()
                if not safe or attempt == self.limits.attempts or time.monotonic() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            delay = min(delay * 2, self.limits.longest_backoff)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        data = None if body is None else orjson.dumps(body)
        await self._quiet()
        code, answer, wait = await self._send(verb, resource, method, path, params, data, content_type)
        if code == 401 and await self._credentials.renew():
            code, answer, wait = await self._send(verb, resource, method, path, params, data, content_type)
        if 200 <= code < 300:
            return _object(answer)
        if code == 429:
            raise _NotDone("Kubernetes asks for fewer requests", 1.0 if wait is None else wait)
        if answer.startswith(b"{"):
            _object(answer)
        failed = refusal(code, answer)
        if code in (502, 503, 504) or (code == 500 and failed.reason in ("ServerTimeout", "InternalError", "Timeout")):
            raise _Faltered(failed, wait or 1.0)
        raise failed

    async def _send(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        content_type: str,
    ) -> tuple[int, bytes, float | None]:
        headers = await self._credentials.headers()
        if data is not None:
            headers["Content-Type"] = content_type
        with traces.span(f"kubernetes {verb} {resource}", **{"url.path": path}):
            headers |= traces.headers()
            return await self._sent(verb, resource, method, path, params, data, headers)

    async def _sent(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[int, bytes, float | None]:
        started = time.monotonic()
        code = 0
        try:
            async with self._session.request(
                method,
                self._credentials.host + path,
                params=params,
                data=data,
                headers=headers,
                proxy=self._credentials.proxy,
                server_hostname=self._credentials.server_name,
                allow_redirects=False,
            ) as response:
                code = response.status
                return code, await response.read(), self._heed(response)
        except aiohttp.ClientConnectorError as error:
            raise _NotDone(_said(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_said(error)) from error
        finally:
            seconds = time.monotonic() - started
            self._observe(verb, resource, code, seconds)
            traces.set_attribute("http.response.status_code", code)
            log.debug("kubernetes.call", verb=verb, path=path, code=code, milliseconds=round(seconds * 1000, 1))

    def _heed(self, response: aiohttp.ClientResponse) -> float | None:
        wait = _retry_after(response.headers.get("Retry-After"))
        if response.status == 429:
            self._quiet_until = max(self._quiet_until, time.monotonic() + (1.0 if wait is None else wait))
        return wait

    async def _quiet(self) -> None:
        rest = self._quiet_until - time.monotonic()
        if rest > 0:
            await asyncio.sleep(rest * _jitter())


class _NotDone(Unreachable):
    """Certainly not carried out."""


class _Faltered(Unreachable):
    """A server error that may pass; whether it was carried out is not known."""

    def __init__(self, cause: Refusal, retry_after: float) -> None:
        super().__init__(f"{cause.code} {cause.message or cause.reason}".strip(), retry_after)


def _object(answer: bytes) -> dict[str, Any]:
    """KubeVirt's subresources answer with nothing at all. What begins as JSON and is none was cut: Unreachable."""
    if not answer.strip():
        return {}
    try:
        parsed = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise Unreachable("the answer was cut short") from error
    return parsed if isinstance(parsed, dict) else {}


def _retry_after(text: str | None) -> float | None:
    if not text:
        return None
    if text.isdecimal():
        return min(float(text), 60.0)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - time.time()), 60.0)
    except ValueError:
        return None


def _jitter() -> float:
    return random.uniform(1.0, 1.5)  # noqa: S311


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
