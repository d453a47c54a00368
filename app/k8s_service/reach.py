"""Reaching into instances: logs, conversations, the screen, usage. Without caches: what is asked is looked at now.

Nothing is entered by its name alone: the object must carry this installation's and this instance's labels. The name
could change hands between that look and the opening, by somebody who may make Pods in CMP's own namespaces.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self

from app.errors import Unsupported, WrongState
from app.instance_types import reading
from app.instance_types.values import CLUSTER, INSTALLATION, INSTANCE, Door, Object, Surroundings
from app.k8s_service import framing
from app.k8s_service.errors import answered
from app.k8s_service.service import INSTANCE_TYPES
from app.kube.client import KubeClient, Limits
from app.kube.credentials import KubeTarget
from app.kube.errors import KubeError, Refusal
from app.kube.kinds import KINDS, POD, POD_METRICS
from app.kube.streams import Body, StreamClient
from app.models import InstanceStatus
from app.rules import reach, units
from app.rules.reach import Access, Console, Exec, Logs, PortForward, Screenshot, Target, Usage, Vnc, Way

# Somebody waits for the answer.
_LIMITS = Limits(connect=3.0, read=8.0, total=10.0, attempts=2, patience=10.0, connections=20)
_NO_METRICS = (
    "Usage is not measured here: this Kubernetes cluster serves no metrics API. An administrator can install "
    "metrics-server."
)
_NOT_YET = "It is not measured yet: that takes up to a minute after it began to run. Ask again."


class KubernetesReach:
    def __init__(self, client: KubeClient, streams: StreamClient, installation_id: str) -> None:
        self._client = client
        self._streams = streams
        self._installation_id = installation_id

    @classmethod
    async def connect(cls, target: KubeTarget, *, installation_id: str, version: str = "dev") -> Self:
        """Reads the configuration; raises kube.errors.BadTarget where it cannot be used. Does not call Kubernetes."""
        client = await KubeClient.connect(target, version=version, limits=_LIMITS)
        return cls(client, StreamClient(client.credentials, version=version), installation_id)

    async def close(self) -> None:
        await self._streams.close()
        await self._client.close()

    async def logs(self, target: Target, wanted: Logs) -> "Log":
        """To be closed by whoever ends early. Raises WrongState, Unsupported, and Unavailable, while reading too."""
        door = await self._door(target, Access.LOGS, wanted)
        async with _our_words():
            return Log(await self._streams.body(_path(target, door), door.params))

    async def open(self, target: Target, way: Way) -> framing.Plain:
        """Raises WrongState, Unsupported, Unavailable."""
        door = await self._door(target, access_of(way), way)
        async with _our_words(way):
            socket = await self._streams.websocket(_path(target, door), door.params, door.protocol)
        return framing.framed(door, socket)

    async def screenshot(self, target: Target) -> bytes:
        """PNG. Raises WrongState, Unsupported, Unavailable."""
        door = await self._door(target, Access.VNC, Screenshot())
        async with _our_words():
            return await self._streams.picture(_path(target, door), door.params)

    async def usage(self, target: Target) -> Usage:
        """Of its Pod: a virtual machine's includes what KubeVirt itself needs. Raises WrongState, Unsupported."""
        objects = await self._look(target)
        pod = objects.get(POD.name)
        if pod is None:
            raise WrongState("It does not run: there is nothing to measure. Start it first.")
        async with _our_words():
            try:
                return _usage(await self._client.get(POD_METRICS, target.namespace, pod["metadata"]["name"]))
            except Refusal as error:
                if not error.missing:
                    raise
                # Without a metrics API the path itself is not there, and no Status says so.
                raise (WrongState(_NOT_YET) if error.reason == "NotFound" else Unsupported(_NO_METRICS)) from error

    async def _door(self, target: Target, access: Access, wanted: Way | Logs | Screenshot) -> Door:
        """Where it begins, if the instance is seen to be in a state for it."""
        driver = INSTANCE_TYPES[target.instance_type]
        objects = await self._look(target)
        status = driver.status_of(objects, _around()).status if objects else InstanceStatus.STOPPED
        why = reach.refusal(access, target.instance_type, status)
        if why is not None:
            raise WrongState(why, details={"current_status": status})
        door = driver.door(wanted, objects)
        if door is None and POD.name not in objects:
            raise WrongState("Nothing of it runs at this moment, so there is no log. Try again when it runs.")
        if door is None:
            raise Unsupported("It keeps no log of its serial console. Open the console itself to see what it says.")
        return door

    async def _look(self, target: Target) -> Mapping[str, Object]:
        """The instance's objects by kind, the newest of each or the one on its node: those that are labelled as its
        own, of nobody else.
        """
        proof = {INSTALLATION: self._installation_id, CLUSTER: target.cluster_id, INSTANCE: target.instance_id}
        params = {"labelSelector": ",".join(f"{key}={value}" for key, value in proof.items())}
        driver = INSTANCE_TYPES[target.instance_type]
        found: dict[str, Object] = {}
        node: object = None
        for kind in driver.reached:
            async with _our_words():
                page = await self._client.page(KINDS[kind], target.namespace, params)
            for obj in page.get("items") or ():
                if kind == driver.reached[0] and obj["metadata"]["name"] != target.name:
                    continue
                if kind not in found or _rank(found[kind], node) < _rank(obj, node):
                    found[kind] = obj
            if not found:
                return {}
            node = reading.status(found.get(kind)).get("nodeName") or node
        return found


def access_of(way: Way) -> Access:
    match way:
        case Exec():
            return Access.EXEC
        case PortForward():
            return Access.PORT_FORWARD
        case Console():
            return Access.CONSOLE
        case _:
            return Access.VNC


def _path(target: Target, door: Door) -> str:
    return KINDS[door.kind].path(target.namespace, door.name, door.subresource)


def _around() -> Surroundings:
    """Whether its node answers shows when it is reached."""
    return Surroundings(datetime.now(UTC), node_ready=lambda _name: None, has_agent=lambda _name: True)


def _rank(obj: Object, node: object) -> tuple[bool, str]:
    """A machine that moves, or has moved, has a Pod on two nodes."""
    here = reading.spec(obj).get("nodeName") == node
    return here, str(reading.metadata(obj).get("creationTimestamp") or "")


class Log:
    """What an instance says, in chunks; to be closed in every case. Raises Unavailable where it breaks off."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __aiter__(self) -> "Log":
        return self

    async def __anext__(self) -> bytes:
        async with _our_words():
            return await anext(self._body)

    async def aclose(self) -> None:
        await self._body.aclose()


@asynccontextmanager
async def _our_words(way: Way | None = None) -> AsyncIterator[None]:
    try:
        yield
    except KubeError as error:
        raise _explained(str(error), way) or answered(error) from error


def _explained(said: str, way: Way | None) -> WrongState | None:
    """KubeVirt answers 500 to what is no failure of its own."""
    if isinstance(way, PortForward) and "dialing VM" in said:
        return WrongState(f"Nothing answers on port {way.port} of the instance. Start what should listen there.")
    if isinstance(way, Vnc) and "websocket (503)" in said:
        return WrongState("Its screen is open elsewhere. Close it there, or take it over: preserve_session=false.")
    return None


def _usage(measured: Mapping[str, Any]) -> Usage:
    containers = [container["usage"] for container in measured.get("containers") or ()]
    return Usage(
        cpu=round(sum(units.measured(each["cpu"]) for each in containers), 3),
        memory=round(sum(units.measured(each["memory"]) for each in containers) / 2**20),
        timestamp=datetime.fromisoformat(measured["timestamp"]),
        window=units.seconds(measured.get("window", "0s")),
    )
