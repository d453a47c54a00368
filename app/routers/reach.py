"""/api/v1/instances/{instance}/…: logs, usage, the screen; and the WebSockets: exec, port-forward, console, vnc.

A WebSocket that is refused gets an HTTP answer like any other request.
"""

import re
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from app import auth, schemas
from app.errors import CmpError, Forbidden, Invalid, NotFound, Unavailable, Unsupported, WrongState
from app.models import Cluster, ClusterPhase, Instance, InstanceStatus, InstanceType, Wanted
from app.routers import views
from app.routers.access import PUBLIC, needs
from app.routers.conversation import Check, Still, StreamedLog, converse
from app.routers.deps import CurrentState, CurrentViewer, State, key_of, presented_before, request_id, state_of
from app.routers.wire import Json, StrictRoute
from app.rules import reach
from app.rules.access import Permission, Viewer
from app.rules.reach import (
    BAD_CHANNEL,
    GONE,
    REVOKED,
    Access,
    Console,
    Ending,
    Exec,
    Logs,
    PortForward,
    Target,
    Vnc,
    Way,
)
from app.services import instances
from app.services.access import require
from app.services.streams import Reach

router = APIRouter(prefix="/instances", tags=["instances"], route_class=StrictRoute)

Key = Annotated[
    str, Path(min_length=1, max_length=120, description="Its id, its name, or name@owner.", examples=["web-instance-1"])
]
_CHANNELS = "v5.channel.k8s.io"
# Names under which clients of consoles and screens ask for bytes as they are.
_PLAIN = ("plain.kubevirt.io", "binary")
_FROM_CLIENT = (0, 4, 255)


_PORT = re.compile(r"[0-9]{1,5}")
_Query = TypeVar("_Query", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a WebSocket was asked for. `words` are recorded; `check` looks at each message of the client."""

    access: Access
    way: Way
    words: str
    protocol: str | None
    check: Check = lambda _data: None


def _no_nul(word: str) -> str:
    if "\0" in word:
        raise ValueError("a NUL character cannot be part of a command")
    return word


class LogsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    follow: bool = Field(False, description="Go on with what is written from now on, until the instance ends.")
    previous: bool = Field(False, description="Of the run before the present one: why a container crashed.")
    timestamps: bool = Field(False, description="Begin each line with its time.")
    since_seconds: int | None = Field(None, ge=1, le=2**31 - 1, description="What is younger than that.")
    since_time: AwareDatetime | None = Field(None, description="What was written since then; RFC 3339.")
    tail: int | None = Field(None, ge=0, le=2**31 - 1, description="The last lines only, so many.")


class ExecQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: list[Annotated[str, AfterValidator(_no_nul)]] = Field(min_length=1, max_length=1000)
    tty: bool = False
    stdin: bool = False


class VncQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    preserve_session: bool = True


class NoQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")


@router.get(
    "/{instance}/logs",
    dependencies=[needs(Permission.INSTANCES_LOGS)],
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The log, as it comes."}
    },
    summary="What an instance says",
    description="A container's output, or what a VM writes to its serial console where KubeVirt keeps that.",
)
async def logs(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    instance: Key,
    query: Annotated[LogsQuery, Query()],
) -> Response:
    if query.since_seconds is not None and query.since_time is not None:
        raise Invalid("Of since_seconds and since_time only one can be given.")
    found, cluster = await _admitted(state, viewer, instance, Access.LOGS)
    wanted = Logs(**query.model_dump())
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(
            state.streams.opened(viewer, found, cluster, Access.LOGS, "logs", request_id(), recorded=query.follow)
        )
        body = await _reach(state).logs(_target(found, cluster), wanted)
        stack.push_async_callback(body.aclose)
        still = _still(state, request, found.id, Access.LOGS)
        return StreamedLog(body, state.streams, stream, still, stack.pop_all())
    raise AssertionError("unreachable: the block returns or raises")


@router.get(
    "/{instance}/usage",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.UsageRead,
    summary="What an instance uses",
)
async def usage(state: CurrentState, viewer: CurrentViewer, instance: Key) -> Response:
    found, cluster = await _load(state, viewer, key_of(instance), Permission.CLUSTERS_READ)
    measured = await _reach(state).usage(_target(found, cluster))
    return Json(
        {
            "cpu": measured.cpu,
            "memory": measured.memory,
            "timestamp": measured.timestamp,
            "window_seconds": measured.window,
            "source": "metrics.k8s.io",
        }
    )


@router.get(
    "/{instance}/screenshot",
    dependencies=[needs(Permission.INSTANCES_REACH)],
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "PNG."}},
    summary="What the screen of a virtual machine shows",
)
async def screenshot(state: CurrentState, viewer: CurrentViewer, instance: Key) -> Response:
    found, cluster = await _admitted(state, viewer, instance, Access.VNC)
    picture = await _reach(state).screenshot(_target(found, cluster))
    return Response(picture, media_type="image/png")


@router.websocket("/{instance}/exec", dependencies=[needs(Permission.INSTANCES_REACH)])
async def execute(websocket: WebSocket, viewer: CurrentViewer, instance: str) -> None:
    def asked() -> _Asked:
        if _CHANNELS not in websocket.scope["subprotocols"]:
            raise Invalid(f"Ask for the subprotocol {_CHANNELS}: it carries input, output, exit code and size.")
        query = _query(websocket, ExecQuery)
        way = Exec(tuple(query.command), tty=query.tty, stdin=query.stdin)
        # Its arguments may be secrets.
        return _Asked(Access.EXEC, way, f"exec {_shown(query.command[0])}", _CHANNELS, _channel)

    await _open(websocket, viewer, instance, asked)


@router.websocket("/{instance}/port-forward/{port}", dependencies=[needs(Permission.INSTANCES_REACH)])
async def port_forward(websocket: WebSocket, viewer: CurrentViewer, instance: str, port: str) -> None:
    def asked() -> _Asked:
        _query(websocket, NoQuery)
        if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
            raise Invalid("A port is a number from 1 to 65535.")
        return _Asked(Access.PORT_FORWARD, PortForward(int(port)), f"port-forward {int(port)}", _plain(websocket))

    await _open(websocket, viewer, instance, asked)


@router.websocket("/{instance}/console", dependencies=[needs(Permission.INSTANCES_REACH)])
async def console(websocket: WebSocket, viewer: CurrentViewer, instance: str) -> None:
    def asked() -> _Asked:
        _query(websocket, NoQuery)
        return _Asked(Access.CONSOLE, Console(), "console", _plain(websocket))

    await _open(websocket, viewer, instance, asked)


@router.websocket("/{instance}/vnc", dependencies=[needs(Permission.INSTANCES_REACH)])
async def vnc(websocket: WebSocket, viewer: CurrentViewer, instance: str) -> None:
    def asked() -> _Asked:
        query = _query(websocket, VncQuery)
        return _Asked(Access.VNC, Vnc(preserve=query.preserve_session), "vnc", _plain(websocket))

    await _open(websocket, viewer, instance, asked)


@router.get("/{instance}/exec", dependencies=[PUBLIC], include_in_schema=False)
@router.get("/{instance}/port-forward/{port}", dependencies=[PUBLIC], include_in_schema=False)
@router.get("/{instance}/console", dependencies=[PUBLIC], include_in_schema=False)
@router.get("/{instance}/vnc", dependencies=[PUBLIC], include_in_schema=False)
async def not_upgraded() -> Response:
    raise HTTPException(426, headers={"Upgrade": "websocket"})


async def _open(websocket: WebSocket, viewer: Viewer, key: str, asked_of: Callable[[], _Asked]) -> None:
    state = state_of(websocket)
    _own_page(websocket, state)
    asked = asked_of()
    found, cluster = await _admitted(state, viewer, key, asked.access)
    async with state.streams.opened(viewer, found, cluster, asked.access, asked.words, request_id()) as stream:
        conversation = await _reach(state).open(_target(found, cluster), asked.way)
        try:
            await websocket.accept(asked.protocol)
            still = _still(state, websocket, found.id, asked.access)
            await converse(websocket, conversation, state.streams, stream, still, asked.check)
        finally:
            await conversation.close()


def _own_page(websocket: WebSocket, state: State) -> None:
    """A browser sends any page's WebSocket with what it knows of us, and says only whose page it is."""
    origin = websocket.headers.get("origin")
    if origin is None or origin in state.settings.cors_origins:
        return
    if urlsplit(origin).netloc != websocket.headers.get("host"):
        raise Forbidden("Pages of other sites may not open streams. CMP_CORS_ORIGINS names those that may.")


async def _admitted(state: State, viewer: Viewer, key: str, access: Access) -> tuple[Instance, Cluster]:
    needed = views.needed_for(access)
    auth.require(viewer, needed)
    found, cluster = await _load(state, viewer, key_of(key), needed)
    kind, status = InstanceType(cluster.instance_type), _status(found, cluster)
    never = reach.never(access, kind)
    if never is not None:
        raise Unsupported(never)
    why = reach.refusal(access, kind, status)
    if why is not None:
        raise WrongState(why, details={"current_status": status, "capabilities": dict(reach.open_now(kind, status))})
    return found, cluster


async def _load(state: State, viewer: Viewer, key: uuid.UUID | str, needed: Permission) -> tuple[Instance, Cluster]:
    async with state.database.reading() as session:
        found, cluster = await instances.load(session, viewer, key)
        require(viewer, await instances.access_to(session, viewer, cluster), needed)
        return found, cluster


def _still(state: State, connection: HTTPConnection, id: uuid.UUID, access: Access) -> Still:
    """Whether whoever opened it still may, and the instance is still in a state for it."""
    token_hash = presented_before(connection)

    async def still() -> Ending | None:
        try:
            viewer = await auth.authenticate(state.database, token_hash)
            found, cluster = await _load(state, viewer, id, views.needed_for(access))
        except Unavailable:
            return None  # a database that is away for a moment ends no work
        except NotFound:
            return GONE
        except CmpError:
            return REVOKED
        return reach.cut(access, _status(found, cluster))

    return still


def _status(instance: Instance, cluster: Cluster) -> InstanceStatus:
    if cluster.phase == ClusterPhase.DELETING or instance.wanted == Wanted.ABSENT:
        return InstanceStatus.DELETING
    return InstanceStatus(instance.status)


def _target(instance: Instance, cluster: Cluster) -> Target:
    kind = InstanceType(cluster.instance_type)
    return Target(kind, str(cluster.id), str(instance.id), cluster.namespace, instance.instance_name)


def _reach(state: State) -> Reach:
    if state.reach is None:
        raise Unsupported(
            "Instances cannot be reached through this CMP process: it knows no Kubernetes. An administrator sets "
            "CMP_KUBERNETES for it as for the workers."
        )
    return state.reach


def _query(websocket: WebSocket, model: type[_Query]) -> _Query:
    params = websocket.query_params
    values = {key: params.getlist(key) if key == "command" else params[key] for key in params}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [{**item, "loc": ("query", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from error


def _plain(websocket: WebSocket) -> str | None:
    """Whoever names protocols must be told which; most name none."""
    return next((name for name in websocket.scope["subprotocols"] if name in _PLAIN), None)


def _channel(data: bytes) -> Ending | None:
    return None if data and data[0] in _FROM_CLIENT else BAD_CHANNEL


def _shown(word: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in word[:200])
