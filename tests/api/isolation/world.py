"""Who asks, and what there is to ask for: each with what it is to each, as `rules.access` has it."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import sqlalchemy as sa

from app.database import Database, Session
from app.models import ApiToken, GrantLevel, Role
from app.rules.access import GRANTS, TABLE, Access, Permission, Scope
from tests.api.isolation.routes import PASSWORD, Row
from tests.api.programs import signed_in
from tests.api.running import Api, Caller, public_key

T = TypeVar("T")
# In every name and label of what no user may learn of.
CANARY = "canary"
OWN, SHARED, FOREIGN, MISSING = "own", "shared", "foreign", "missing"
_ELSEWHERE = {"Origin": "https://evil.example.org"}
_HERE = {"Origin": "http://cmp"}


@dataclass
class Actor:
    """Somebody with one credential. `role`: None where it is not to be believed; `scopes`: None where it has none."""

    name: str
    headers: dict[str, str]
    user: Caller | None = None
    role: Role | None = None
    scopes: frozenset[Scope] | None = None
    level: GrantLevel | None = None
    elsewhere: bool = False
    """Another site's page acts with a browser's session."""
    core: bool = False
    """Of the ordinary form."""

    def may(self, permission: Permission) -> bool:
        """As the table says; the app's own reading of it is what is tested."""
        roles, scopes, _ = TABLE[permission]
        return self.role in roles.split() and (self.scopes is None or bool(self.scopes & set(scopes.split())))


@dataclass
class Things:
    """By noun and form: how one user's things are called."""

    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    identity: str = ""
    token: str = ""
    delivery: str = ""


@dataclass
class World:
    api: Api
    actors: list[Actor]
    own: dict[str, Things]
    shared: Things
    foreign: Things
    received: dict[str, str]
    witness: Caller
    client: httpx.AsyncClient

    def key(self, actor: Actor, row: Row, whose: str, form: str) -> str | None:
        """None: there is no such thing for this actor."""
        assert row.noun
        if form == "upper":
            lower = self.key(actor, row, whose, "id")
            return lower.upper() if lower is not None else None
        if whose == MISSING:
            missing = {"id": str(uuid.UUID(int=7)), "name": "no-such-thing", "at": f"no-such-thing@{CANARY}"}
            return missing[form]
        if whose == SHARED and row.noun == "transfer":
            return self.received[actor.user.name] if actor.user is not None else None
        if whose == SHARED and row.noun in ("user", "token", "flavour", "image"):
            return None
        return self.things(actor, whose).keys.get((row.noun, form))

    def things(self, actor: Actor, whose: str) -> Things:
        own = self.own[actor.user.name] if actor.user is not None else self.shared
        return {OWN: own, SHARED: self.shared, FOREIGN: self.foreign, MISSING: self.foreign}[whose]


def access(actor: Actor, row: Row, whose: str, form: str) -> Access | None:
    """What the actor is to it, found in that way; None: nothing."""
    if whose == OWN or row.noun == "user":
        return Access.OWNER
    if row.noun in ("flavour", "image"):
        return Access.ROLE if actor.may(Permission.CATALOGUE_WRITE) else None
    if row.noun == "transfer" and whose == SHARED:
        return Access.OWNER
    if form == "name" or row.alone:
        return None
    if actor.may(Permission.EVERYONES):
        return None if row.mine else Access.ROLE
    return Access(actor.level) if whose == SHARED and actor.level is not None and row.noun != "transfer" else None


def expected(actor: Actor, row: Row, whose: str, form: str) -> int:
    """401, 403, 404, or 200 for whatever is none of these."""
    if not row.needs:
        return 200
    if actor.role is None:
        return 401
    if actor.elsewhere and row.method != "GET":
        return 403
    if not all(actor.may(needed) for needed in row.needs):
        return 403
    if row.noun is not None:
        found = None if whose == MISSING else access(actor, row, whose, form)
        if found is None:
            return 404
        if found not in (Access.OWNER, Access.ROLE) and (row.owner or row.needs[0] not in GRANTS[GrantLevel(found)]):
            return 403
        if row.receiver and whose != SHARED:
            return 403
    unscoped = row.unscoped or (row.unscoped_for_oneself and whose == OWN)
    return 403 if unscoped and actor.scopes is not None else 200


class _Undo(Exception):
    pass


def undo_all(database: Database) -> None:
    """From now on every write is done, answered and undone, so that all probes find the same world."""
    run = database.run

    async def undone(work: Callable[[Session], Awaitable[T]]) -> T:
        made: list[T] = []

        async def once(session: Session) -> None:
            made.append(await work(session))
            await session.flush()
            raise _Undo

        try:
            await run(once)
        except _Undo:
            return made[-1]
        raise AssertionError("unreachable")

    database.run = undone  # type: ignore[method-assign]


async def build(api: Api) -> World:
    for one, enabled in ((f"{CANARY}-hidden", False), ("offered", True)):
        for path, body in (
            ("/flavours/", {"cpu": 1, "memory": 64}),
            ("/images/", {"instance_type": "vm", "reference": f"{one}:1"}),
        ):
            assert (await api.admin.post(path, json=body | {"name": one, "enabled": enabled})).status_code == 201
    witness, canary, sharer = await api.user(), await api.user(username=CANARY), await api.user()
    me = await api.admin.get("/users/me")
    api.admin.id = me.json()["id"]
    client = httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp", trust_env=False)
    world = World(api, [], {}, Things(), Things(), {}, witness, client)
    world.foreign = await _things(world, canary, f"{CANARY}-plans", "hidden")
    world.shared = await _things(world, sharer, "shared-plans", "hidden")
    user = await api.user()
    await _joins(world, sharer, user, Role.USER, None)
    await _joins(world, sharer, api.admin, Role.ADMIN, None)
    for role in (Role.VIEWER, Role.OPERATOR):
        await _joins(world, sharer, await api.user(), role, None)
    for level in GrantLevel:
        await _joins(world, sharer, await api.user(), Role.USER, level)
    await _joins(world, sharer, await api.user(), Role.VIEWER, GrantLevel.MANAGE)
    await _browsers_and_programs(world, user)
    await _not_to_be_believed(world, user)
    return world


async def _things(world: World, owner: Caller, name: str, entry: str) -> Things:
    api, witness = world.api, world.witness
    cluster = await owner.cluster(name, instance_count=2, labels={CANARY: "label"} if CANARY in name else {})
    member = cluster["instances"][0]
    stopped = await owner.post(f"/instances/{member['id']}/operate", json={"operation": "stop"})
    offer = await owner.post(f"/clusters/{cluster['id']}/transfer", json={"to": witness.name})
    await owner.put(f"/clusters/{cluster['id']}/grants/{witness.name}", json={"level": "view"})
    subject = {"issuer": "https://id.example.org", "subject": f"{owner.name} there"[:40].replace(" ", "-")}
    identity = await api.admin.post(f"/users/{owner.id}/identities", json=subject)
    assert (stopped.status_code, offer.status_code, identity.status_code) == (200, 200, 201)
    token = (await owner.get("/tokens/")).json()["items"][0]["id"]
    told = {"channel": "webhook", "target": f"https://{owner.name}.example.org/"}
    subscription = (await owner.post("/notifications/", json=told)).json()["id"]
    delivery = (await owner.post(f"/notifications/{subscription}/test")).json()["id"]
    saved = {"name": f"key-of-{name}"[:40], "public_key": public_key()}
    ssh_key = (await owner.post("/ssh-keys/", json=saved)).json()
    listed = f"{CANARY}-hidden" if entry == "hidden" else "offered"
    keys = {
        ("cluster", "id"): cluster["id"],
        ("cluster", "name"): name,
        ("cluster", "at"): f"{name}@{owner.name}",
        ("instance", "id"): member["id"],
        ("instance", "name"): member["instance_name"],
        ("instance", "at"): f"{member['instance_name']}@{owner.name}",
        ("operation", "id"): cluster["operation"]["id"],
        ("transfer", "id"): offer.json()["id"],
        ("user", "id"): owner.id,
        ("user", "name"): owner.name,
        ("token", "id"): token,
        ("subscription", "id"): subscription,
        ("ssh_key", "id"): ssh_key["id"],
        ("ssh_key", "name"): ssh_key["name"],
        ("flavour", "name"): listed,
        ("image", "name"): listed,
    }
    return Things(keys, identity.json()["id"], token, delivery)


async def _joins(world: World, sharer: Caller, caller: Caller, role: Role, level: GrantLevel | None) -> None:
    """With all that it owns, and a credential without scopes and one of each."""
    api = world.api
    world.own[caller.name] = await _things(world, caller, f"plans-{caller.name}", "offered")
    if level is not None:
        path = f"/clusters/{world.shared.keys['cluster', 'id']}/grants/{caller.name}"
        assert (await sharer.put(path, json={"level": level})).status_code == 200
    given = await sharer.cluster(f"for-{caller.name}")
    offer = await sharer.post(f"/clusters/{given['id']}/transfer", json={"to": caller.name})
    world.received[caller.name] = offer.json()["id"]
    name = " ".join([role, *([f"with a grant to {level}"] if level is not None else [])])
    for scope in (None, *Scope):
        token = caller.token
        if scope is not None:
            made = await caller.post("/tokens/", json={"name": scope, "scopes": [scope]})
            token = made.json()["token"]
        scopes = None if scope is None else frozenset({scope})
        core = scope is None or (role is Role.USER and level is None) or (role, scope) == (Role.ADMIN, Scope.ADMIN)
        named = name if scope is None else f"{name}, narrowed to {scope}"
        world.actors.append(Actor(named, _bearer(token), caller, role, scopes, level, core=core))
    if caller is not api.admin:
        assert (await api.admin.patch(f"/users/{caller.id}", json={"role": role})).status_code == 200


async def _browsers_and_programs(world: World, user: Caller) -> None:
    api, role = world.api, Role.USER
    put = await api.admin.put(f"/users/{user.id}/password", json={"password": PASSWORD})
    assert put.status_code == 204
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api.app), base_url="http://cmp", headers=_HERE
    ) as browser:
        answer = await browser.post("/login", data={"username": user.name, "password": PASSWORD, "next": "/login"})
        assert answer.status_code == 303
        cookie = {"Cookie": f"cmp-session={browser.cookies['cmp-session']}"}
    whole = (await signed_in(api, user))["access_token"]
    narrow = (await signed_in(api, user, scope="read operate"))["access_token"]
    scopes = frozenset({Scope.READ, Scope.OPERATE})
    world.actors += [
        Actor("a browser", cookie | _HERE, user, role, core=True),
        Actor("a browser on another site's page", cookie | _ELSEWHERE, user, role, elsewhere=True, core=True),
        Actor("an access token", _bearer(whole), user, role, core=True),
        Actor("a narrowed access token", _bearer(narrow), user, role, scopes),
        Actor("an access token, mangled", _bearer(whole[:-4] + "AAAA"), user),
    ]


async def _not_to_be_believed(world: World, user: Caller) -> None:
    api, disabled = world.api, await world.api.user()
    tokens = {}
    for name in ("expired", "revoked"):
        made = (await user.post("/tokens/", json={"name": name})).json()
        tokens[name] = made["token"], made["id"]
    await user.delete(f"/tokens/{tokens['revoked'][1]}")
    past = datetime.now(UTC) - timedelta(seconds=1)
    ended = sa.update(ApiToken).where(ApiToken.id == uuid.UUID(tokens["expired"][1])).values(expires_at=past)
    await api.database.run(lambda session: session.execute(ended))
    world.own[disabled.name], world.received[disabled.name] = world.shared, world.received[user.name]
    await api.admin.patch(f"/users/{disabled.id}", json={"disabled": True})
    world.actors += [
        Actor("nobody", {}, core=True),
        Actor("an unknown token", _bearer("cmp_pat_" + "A" * 43), core=True),
        Actor("a mangled token", _bearer(api.admin.token[:-1])),
        Actor("another scheme", {"Authorization": f"Token {api.admin.token}"}),
        Actor("an expired token", _bearer(tokens["expired"][0]), user, core=True),
        Actor("a revoked token", _bearer(tokens["revoked"][0]), user, core=True),
        Actor("somebody disabled", _bearer(disabled.token), disabled, core=True),
    ]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
