"""A simulator inside the test's own event loop, and short words for talking to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

import simulator

Json = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


class Rig:
    def __init__(self, sim: simulator.Simulator, http: httpx.AsyncClient) -> None:
        self.sim = sim
        self.http = http

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body)
        return await self.http.request(method, path, content=content, headers={"Content-Type": kind, **headers})

    async def ok(self, method: str, path: str, body: Any = None) -> Json:
        answer = await self.call(method, path, body)
        assert answer.status_code < 300, answer.text
        decoded: Json = answer.json()
        return decoded

    async def admin(self, method: str, path: str, body: Any = None) -> Json:
        return await self.ok(method, f"/__simulator__{path}", body)

    async def fault(self, kind: str, **rule: Any) -> str:
        return str((await self.admin("POST", "/faults", {"kind": kind, **rule}))["id"])

    async def until(self, path: str, met: Callable[[Json], object], seconds: float = 20) -> Json:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    answer = await self.call("GET", path)
                    if answer.status_code == 200 and met(answer.json()):
                        found: Json = answer.json()
                        return found
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came true: {answer.text}") from None

    async def until_gone(self, path: str, seconds: float = 20) -> None:
        await eventually(lambda: self._is_gone(path), seconds)

    async def _is_gone(self, path: str) -> bool:
        return (await self.call("GET", path)).status_code == 404

    @asynccontextmanager
    async def watch(self, path: str, query: str = "") -> AsyncIterator["Lines"]:
        timeout = httpx.Timeout(10, read=10)
        async with self.http.stream("GET", f"{path}?watch=1&{query}", timeout=timeout) as response:
            yield Lines(response)

    async def revision(self, path: str) -> str:
        return str((await self.ok("GET", path))["metadata"]["resourceVersion"])


class Lines:
    """The lines of one watch, decoded."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self._lines = response.aiter_lines()

    async def next(self) -> Json:
        decoded: Json = json.loads(await anext(self._lines))
        return decoded

    async def take(self, count: int) -> list[Json]:
        return [await self.next() for _ in range(count)]

    async def rest(self) -> list[Json]:
        return [json.loads(line) async for line in self._lines]

    async def silent(self, seconds: float) -> bool:
        """Whether not a byte comes for so long. Ends the watch."""
        try:
            await asyncio.wait_for(anext(self._lines), seconds)
        except TimeoutError:
            return True
        return False


async def eventually(met: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await met():
        assert asyncio.get_running_loop().time() < deadline, "never came true"
        await asyncio.sleep(0.01)


def config_map(name: str, **data: str) -> Json:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, image: str = "nginx:1", cpu: str = "10m", **spec: Any) -> Json:
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def state(obj: Json) -> Json:
    """The state of the only container."""
    statuses = obj["status"].get("containerStatuses") or [{"state": {}}]
    found: Json = statuses[0]["state"]
    return found


def waiting(obj: Json) -> str:
    return str(state(obj).get("waiting", {}).get("reason", ""))


def restarts(obj: Json) -> int:
    return int((obj["status"].get("containerStatuses") or [{"restartCount": 0}])[0]["restartCount"])


def ready(obj: Json) -> bool:
    return condition(obj, "Ready").get("status") == "True"


def condition(obj: Json, kind: str) -> Json:
    return next((item for item in obj["status"].get("conditions") or () if item["type"] == kind), {})


@asynccontextmanager
async def running(settings: simulator.Settings | None = None, **options: Any) -> AsyncIterator[Rig]:
    async with (
        simulator.serve(settings, **options) as sim,
        httpx.AsyncClient(base_url=sim.url, timeout=10, headers={"User-Agent": "tests/1"}, trust_env=False) as http,
    ):
        yield Rig(sim, http)
