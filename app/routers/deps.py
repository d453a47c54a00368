"""What handlers share: the parts of the running app, who is asking, which page, and the one way to write.

`write` is where a request's transaction is committed: before the answer leaves, and before anybody is nudged.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from app import auth, telemetry
from app.database import Database, Reads, Row, Session
from app.errors import Invalid, KeyReused, Stale, Unavailable, Unsupported
from app.models import Cluster
from app.routers import cookies
from app.routers.kept import Kept
from app.routers.wire import Json, encode, matches
from app.rules import cursors, naming
from app.rules.access import Viewer
from app.rules.sealing import NoKey, Sealer
from app.services.audit import Audit
from app.services.catalogue import Catalogue
from app.services.events import Broadcaster
from app.services.oauth import Grants
from app.services.sign_ins import Gate
from app.services.streams import Reach, Streams
from app.services.tokens import LastUsed
from app.settings import Settings
from app.store import idempotency
from app.store.paging import PageRequest

_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,5})(?:$|[,;\s])")
_PRESENTED = "cmp.presented"
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")


@dataclass(slots=True)
class State:
    """The parts of the running app; `app.state.cmp`."""

    settings: Settings
    database: Database
    reads: Reads
    broadcaster: Broadcaster
    catalogue: Catalogue
    streams: Streams
    last_used: LastUsed
    access_tokens: auth.AccessTokens
    gate: Gate
    grants: Grants
    audit: Audit
    kept: Kept
    provider: auth.Provider | None = None
    """Of single sign-on, where one is set."""
    sealer: Sealer = field(default_factory=Sealer)
    cursor_secret: bytes = b""
    nudge: Callable[[uuid.UUID], None] = lambda _cluster_id: None
    kubernetes: str = ""
    """Which one the embedded worker uses."""
    reach: Reach | None = None
    """The way into instances; none where this process knows no Kubernetes."""
    draining: bool = False
    """Told to end: all is served, but nobody should come any more."""


def state_of(connection: HTTPConnection) -> State:
    state: State = connection.app.state.cmp
    return state


async def _state(connection: HTTPConnection) -> State:
    # A plain function would be run in a thread by FastAPI, for every request.
    return state_of(connection)


CurrentState = Annotated[State, Depends(_state)]


async def presented(connection: HTTPConnection, state: State) -> str:
    """The hash of the credential that came: a bearer token, or else a browser's session. Raises Unauthenticated."""
    authorization = connection.headers.get("authorization")
    cookie = cookies.session_of(connection) if authorization is None else None
    if cookie is None:
        found = await auth.presented(state.access_tokens, authorization)
    else:
        cookies.require_own_page(connection)
        found = auth.session_hash(cookie)
    await state.gate.throttle.token(found)
    connection.scope[_PRESENTED] = found
    return found


def presented_before(connection: HTTPConnection) -> str:
    """For whoever asks again in the course of a long answer: an access token may have ended since, its sign-in not."""
    return str(connection.scope[_PRESENTED])


async def _asker(connection: HTTPConnection, state: CurrentState) -> Row:
    asker = await auth.asker(state.database, await presented(connection, state))
    await noted(connection, state, asker)
    return asker


async def noted(connection: HTTPConnection, state: State, asker: Row, prefix: str = "") -> None:
    """Who asks, and by what: in the audit trail before anything is changed or a stream opened. Raises TooMany."""
    id, token_id = (uuid.UUID(str(asker[f"{prefix}{name}"])) for name in ("id", "token_id"))
    entry = connection.scope["cmp.audit"]
    entry["actor_id"], entry["actor"] = id, asker[f"{prefix}username"]
    entry["credential_id"], entry["credential"] = token_id, asker[f"{prefix}token_kind"]
    state.last_used.note(token_id, asker[f"{prefix}token_last_used_at"])
    await state.gate.throttle.account(str(id))
    if cookies.changes_something(connection):
        connection.scope["cmp.audit.begun"].append(await state.audit.begin(entry))


def address_of(connection: HTTPConnection) -> str:
    """Where it is from: see CMP_TRUSTED_PROXIES."""
    return connection.client.host if connection.client is not None else ""


CurrentAsker = Annotated[Row, Depends(_asker)]


async def viewer_of(asker: CurrentAsker) -> Viewer:
    return auth.viewer_of(asker)


CurrentViewer = Annotated[Viewer, Depends(viewer_of)]
IfMatch = Annotated[
    str | None, Header(description="An ETag: refuse unless this is still the current representation.", max_length=500)
]


class PageQuery(BaseModel):
    """A filter that is not known is refused: a typing error must not widen what is listed."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=500, description="Rows on a page.")
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before.")


class WaitQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wait: int | None = Field(
        None, ge=0, le=3600, description="Seconds to wait for the operation to finish. `Prefer: wait=` does the same."
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write answers. `remembered` is what an Idempotency-Key repeats, where that must differ (secrets)."""

    body: Any
    nudge: list[uuid.UUID] = field(default_factory=list)
    remembered: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    operation: uuid.UUID | None = None
    """What there is to wait for."""


@dataclass(frozen=True, slots=True)
class Written:
    response: Response
    outcome: Outcome | None
    """None when an earlier answer was repeated."""


def request_id() -> str:
    return telemetry.request_id.get() or ""


def key_of(text: str) -> uuid.UUID | str:
    """An id if it reads as one, else a name; what can be no name becomes the empty one, which nobody has."""
    if naming.reads_as_id(text):
        return uuid.UUID(text)
    return text if re.fullmatch(naming.SEARCH_PATTERN, text) else ""


def sealing_of(state: State, secrets: Mapping[str, Any]) -> Callable[[uuid.UUID], str | None]:
    """How to seal these for a row, by its id. Raises Unsupported where there is no key to seal them with."""
    if not secrets:
        return lambda _id: None
    if not state.sealer.ready:
        raise Unsupported(
            "This installation cannot keep secrets: it has no key to seal them with. Leave them out, or ask an "
            "administrator to set CMP_SECRET_KEY for every process."
        )
    return lambda id: state.sealer.seal(secrets, str(id))


def opened(state: State, cluster: Cluster) -> dict[str, Any]:
    """Its secrets in plain text, to be sealed again with what is changed. Raises Unsupported."""
    if cluster.secrets is None:
        return {}
    try:
        return state.sealer.open(cluster.secrets, str(cluster.id))
    except NoKey as error:
        raise Unsupported(
            "The secrets of this cluster were sealed with a key that this installation does not have now. Ask an "
            "administrator to name it in CMP_SECRET_KEY."
        ) from error


def page_request(state: State, scope: str, query: PageQuery, sort: str) -> PageRequest:
    """`scope` names the viewer, the list and its filters. Raises Invalid for a cursor of another list."""
    after = None
    if query.cursor is not None:
        try:
            after = cursors.unseal(state.cursor_secret, f"{scope} {sort}", query.cursor)
        except ValueError as error:
            raise Invalid(f"{error}.") from error
    return PageRequest(query.limit, sort.removeprefix("-"), sort.startswith("-"), after)


def next_cursor(state: State, scope: str, sort: str, last: list[Any] | None) -> str | None:
    return None if last is None else cursors.seal(state.cursor_secret, f"{scope} {sort}", last)


def seconds_to_wait(request: Request, state: State, query: WaitQuery) -> int:
    if query.wait is not None:
        return min(query.wait, state.settings.max_wait_seconds)
    preferred = _PREFER_WAIT.search(request.headers.get("prefer", ""))
    return min(int(preferred[1]), state.settings.max_wait_seconds) if preferred else 0


def unchanged(if_match: str | None, representation: Callable[[], Any]) -> None:
    """Raises Stale when If-Match names another representation than the present one."""
    if if_match is not None and not matches(if_match, representation()):
        raise Stale("It has changed since you read it. Read it again and decide anew.")


def warned(warnings: Iterable[str]) -> dict[str, str]:
    """The header `Warning`, as Kubernetes sends it: what was done as asked, and should be asked otherwise next time."""
    values = [f"299 - {json.dumps(warning)}" for warning in warnings]
    return {"Warning": ", ".join(values)} if values else {}


async def write(
    request: Request,
    state: State,
    viewer: Viewer,
    work: Callable[[Session], Awaitable[Outcome]],
    *,
    status: int,
    short_way: Callable[[], Awaitable[Outcome | None]] | None = None,
    part: int = 0,
) -> Written:
    """Run `work` in one transaction, commit, nudge, answer; a known Idempotency-Key repeats its first answer.

    `short_way` does and commits the same in one go, or answers None and has done nothing; it knows no keys.
    `part`: which one, of a request that is several transactions; each is remembered by itself.
    """
    key = _key(request, part)
    fingerprint = await _fingerprint(request) if key is not None else ""
    repeated = await _earlier(state, viewer, key, fingerprint)
    if repeated is not None:
        return repeated

    async def once(session: Session) -> Outcome:
        if key is not None:
            await idempotency.claim(session, viewer.user_id, key, fingerprint)
        outcome = await work(session)
        if key is not None:
            remembered = outcome.body if outcome.remembered is None else outcome.remembered
            await idempotency.answer(session, viewer.user_id, key, status, encode(remembered))
        return outcome

    try:
        outcome = await short_way() if short_way is not None and key is None else None
        outcome = await state.database.run(once) if outcome is None else outcome
    except idempotency.Taken:
        repeated = await _earlier(state, viewer, key, fingerprint)
        if repeated is None:
            raise Unavailable("The first request with this Idempotency-Key was just forgotten. Try again.") from None
        return repeated
    for cluster_id in outcome.nudge:
        state.nudge(cluster_id)
    state.broadcaster.wake()
    return Written(_response(outcome.body, status, outcome.headers), outcome)


def _key(request: Request, part: int) -> str | None:
    """Later parts have keys that nobody can send: there is a space in them."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid("An Idempotency-Key is 1 to 255 printable ASCII characters.")
    return key if key is None or part == 0 else f"{part} {hashlib.sha256(key.encode()).hexdigest()}"


async def _fingerprint(request: Request) -> str:
    target = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(target + await request.body()).hexdigest()


async def _earlier(state: State, viewer: Viewer, key: str | None, fingerprint: str) -> Written | None:
    if key is None:
        return None
    async with state.database.reading() as session:
        found = await idempotency.find(session, viewer.user_id, key)
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise KeyReused("This Idempotency-Key came with a different request before. Use a new key for a new request.")
    return Written(_response(found.body, found.status_code, {"Idempotency-Replayed": "true"}), None)


def _response(body: Any, status: int, headers: Mapping[str, str]) -> Response:
    return Json(body, status, headers=headers) if status != 204 else Response(status_code=204, headers=headers)
