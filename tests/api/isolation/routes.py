"""What is known of every route: what it needs, what it names and where, and the little that is special about some.

The matrix holds the app to this; a route that is not here fails it.
"""

from dataclasses import dataclass, field
from typing import Any

from app.rules.access import Permission as P
from tests.api.running import public_key, wish

WEBSOCKET = "WEBSOCKET"
PASSWORD = "a long enough password"
KEY, WITNESS = "{key}", "{witness}"


@dataclass(frozen=True)
class Row:
    """`noun`: what it names, in the path where that says so, else where the query or the body has KEY."""

    method: str
    path: str
    needs: tuple[P, ...]
    noun: str | None = None
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    forms: tuple[str, ...] = ("id", "upper")
    owner: bool = False
    """Whom it is shared with may not."""
    mine: bool = False
    """Nobody's role lets them find somebody else's here."""
    alone: bool = False
    """Nor does a grant."""
    unscoped: bool = False
    """Not with a credential that is narrowed."""
    unscoped_for_oneself: bool = False
    receiver: bool = False
    """Only by whom it is offered to."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + "".join(f" {name}={value}" for name, value in self.query.items())


_NAMED = ("id", "name", "at", "upper")
_USER = ("id", "name", "upper")
_NAME = ("name",)
_CLUSTER, _INSTANCE = "/api/v1/clusters/{cluster}", "/api/v1/instances/{instance}"
_U = "/api/v1/users/{user}"
_STOP = {"operation": "stop"}
_SUBJECT = {"issuer": "https://id.example.org", "subject": "somebody"}
_STOPPED = {"disabled": True, "instances": "stop"}
_CHANGED = {"password": f"{PASSWORD}, another", "current_password": PASSWORD}


def _clusters() -> list[Row]:
    at: dict[str, Any] = {"noun": "cluster", "forms": _NAMED}
    return [
        Row("POST", "/api/v1/clusters/", (P.CLUSTERS_WRITE,), body=wish("made-by-the-matrix")),
        Row("GET", "/api/v1/clusters/", (P.CLUSTERS_READ,)),
        Row("GET", "/api/v1/clusters/", (P.CLUSTERS_READ,), query={"shared": "true"}),
        Row("GET", "/api/v1/clusters/", (P.CLUSTERS_READ, P.EVERYONES), query={"owner": "*"}),
        Row("POST", "/api/v1/clusters/delete", (P.CLUSTERS_WRITE,), body={"ids": [KEY]}, owner=True, **at),
        Row("GET", _CLUSTER, (P.CLUSTERS_READ,), **at),
        Row("PATCH", _CLUSTER, (P.CLUSTERS_WRITE,), body={"labels": {"a": "b"}}, **at),
        Row("DELETE", _CLUSTER, (P.CLUSTERS_WRITE,), query={"wait": "0"}, owner=True, **at),
        Row("POST", f"{_CLUSTER}/operate", (P.INSTANCES_OPERATE,), body=_STOP, **at),
        Row("POST", f"{_CLUSTER}/scale", (P.CLUSTERS_WRITE,), body={"instance_count": 2}, **at),
        Row("GET", f"{_CLUSTER}/grants/", (P.CLUSTERS_READ,), **at),
        Row("GET", f"{_CLUSTER}/grants/{{user}}", (P.CLUSTERS_READ,), **at),
        Row("PUT", f"{_CLUSTER}/grants/{{user}}", (P.CLUSTERS_SHARE,), body={"level": "manage"}, owner=True, **at),
        Row("DELETE", f"{_CLUSTER}/grants/{{user}}", (P.CLUSTERS_SHARE,), owner=True, **at),
        Row("POST", f"{_CLUSTER}/transfer", (P.CLUSTERS_SHARE,), body={"to": WITNESS}, owner=True, **at),
        Row("PUT", f"{_CLUSTER}/transfer", (P.USERS_WRITE, P.CLUSTERS_SHARE), body={"to": WITNESS}, owner=True, **at),
        Row("GET", "/api/v1/transfers/", (P.CLUSTERS_READ,)),
        Row("GET", "/api/v1/transfers/{transfer}", (P.CLUSTERS_READ,), "transfer"),
        Row("POST", "/api/v1/transfers/{transfer}/accept", (P.CLUSTERS_SHARE,), "transfer", receiver=True),
        Row("DELETE", "/api/v1/transfers/{transfer}", (P.CLUSTERS_SHARE,), "transfer"),
    ]


def _instances() -> list[Row]:
    at: dict[str, Any] = {"noun": "instance", "forms": _NAMED}
    reach = (P.INSTANCES_REACH,)
    return [
        Row("GET", "/api/v1/instances/", (P.CLUSTERS_READ,)),
        Row("GET", "/api/v1/instances/", (P.CLUSTERS_READ,), "cluster", query={"cluster": KEY}, forms=_NAMED),
        Row("POST", "/api/v1/instances/operate", (P.INSTANCES_OPERATE,), body=_STOP | {"ids": [KEY]}, **at),
        Row("GET", _INSTANCE, (P.CLUSTERS_READ,), **at),
        Row("DELETE", _INSTANCE, (P.CLUSTERS_WRITE,), query={"wait": "0"}, **at),
        Row("POST", f"{_INSTANCE}/operate", (P.INSTANCES_OPERATE,), body=_STOP, **at),
        Row("GET", f"{_INSTANCE}/logs", (P.INSTANCES_LOGS,), **at),
        Row("GET", f"{_INSTANCE}/usage", (P.CLUSTERS_READ,), **at),
        Row("GET", f"{_INSTANCE}/screenshot", reach, **at),
        Row(WEBSOCKET, f"{_INSTANCE}/exec", reach, query={"command": "sh"}, **at),
        Row(WEBSOCKET, f"{_INSTANCE}/port-forward/{{port}}", reach, **at),
        Row(WEBSOCKET, f"{_INSTANCE}/console", reach, **at),
        Row(WEBSOCKET, f"{_INSTANCE}/vnc", reach, **at),
    ]


def _history() -> list[Row]:
    read, all_ = (P.CLUSTERS_READ,), (P.CLUSTERS_READ, P.EVERYONES)
    rows = [
        Row("GET", "/api/v1/operations/{operation}", read, "operation"),
        Row("GET", "/api/v1/operations/{operation}/wait", read, "operation", query={"timeout": "0"}),
        Row("GET", "/api/v1/operations/", read, "instance", query={"instance_id": KEY}, alone=True),
        Row("GET", "/api/v1/events/", read),
        Row("GET", "/api/v1/events/", all_, query={"everyones": "true"}),
    ]
    own, everyones = (P.SELF_READ,), (P.SELF_READ, P.EVERYONES)
    for path in ("/api/v1/audit/", "/api/v1/audit/export"):
        rows += [Row("GET", path, own), Row("GET", path, everyones, query={"everyones": "true"})]
    rows.append(Row("GET", "/api/v1/audit/verify", (P.AUDIT_VERIFY,)))
    rows.append(Row("GET", "/metrics", (P.METRICS_READ,)))
    for path in ("/api/v1/operations/", "/api/v1/events/history"):
        rows += [
            Row("GET", path, read),
            Row("GET", path, read, "cluster", query={"cluster_id": KEY}, mine=True),
            Row("GET", path, all_, "cluster", query={"cluster_id": KEY, "everyones": "true"}),
        ]
    return rows


def _users() -> list[Row]:
    at: dict[str, Any] = {"noun": "user", "forms": _USER}
    read, write = (P.USERS_READ,), (P.USERS_WRITE,)
    return [
        Row("POST", "/api/v1/users/", write, body={"username": "made-by-the-matrix"}),
        Row("GET", "/api/v1/users/", read),
        Row("GET", "/api/v1/users/me", (P.SELF_READ,)),
        Row("GET", "/api/v1/users/me/quota", (P.SELF_READ,)),
        Row("POST", "/api/v1/users/me/token", (P.TOKENS_WRITE,), unscoped=True),
        Row("PUT", "/api/v1/users/me/password", (P.TOKENS_WRITE,), body=_CHANGED, unscoped=True),
        Row("GET", _U, read, **at),
        Row("PATCH", _U, write, body={"quota_cpu": 9}, **at),
        Row("DELETE", _U, write, **at),
        Row("DELETE", _U, (*write, P.EVERYONES, P.CLUSTERS_WRITE), query={"clusters": "delete"}, **at),
        Row("DELETE", _U, (*write, P.EVERYONES, P.CLUSTERS_SHARE), query={"clusters": "transfer", "to": WITNESS}, **at),
        Row("PATCH", _U, (*write, P.EVERYONES, P.INSTANCES_OPERATE), body=_STOPPED, **at),
        Row("GET", f"{_U}/quota", read, **at),
        Row("POST", f"{_U}/token", write, unscoped=True, **at),
        Row("PUT", f"{_U}/password", write, body=_CHANGED, unscoped_for_oneself=True, **at),
        Row("DELETE", f"{_U}/password", write, **at),
        Row("GET", f"{_U}/identities", read, **at),
        Row("POST", f"{_U}/identities", write, body=_SUBJECT, **at),
        Row("DELETE", f"{_U}/identities/{{identity}}", write, **at),
        Row("GET", f"{_U}/tokens/", read, **at),
        Row("POST", f"{_U}/tokens/", write, body={"name": "another"}, unscoped=True, **at),
        Row("DELETE", f"{_U}/tokens/{{token}}", write, unscoped=True, **at),
        Row("GET", "/api/v1/tokens/", (P.SELF_READ,)),
        Row("POST", "/api/v1/tokens/", (P.TOKENS_WRITE,), body={"name": "another"}, unscoped=True),
        Row("DELETE", "/api/v1/tokens/{token}", (P.TOKENS_WRITE,), "token", unscoped=True, alone=True),
        Row("GET", "/api/v1/platform/", read),
        Row("POST", "/api/v1/signing-keys/", (P.PLATFORM_WRITE,)),
        Row("POST", "/api/v1/secrets/reseal", (P.PLATFORM_WRITE,)),
    ]


def _ssh_keys() -> list[Row]:
    at: dict[str, Any] = {"noun": "ssh_key", "forms": _USER, "alone": True}
    path, write = "/api/v1/ssh-keys/{ssh_key}", (P.TOKENS_WRITE,)
    return [
        Row("GET", "/api/v1/ssh-keys/", (P.SELF_READ,)),
        Row("POST", "/api/v1/ssh-keys/", write, body={"name": "another", "public_key": public_key()}),
        Row("GET", path, (P.SELF_READ,), **at),
        Row("DELETE", path, write, **at),
    ]


def _notifications() -> list[Row]:
    at: dict[str, Any] = {"noun": "subscription", "alone": True}
    path, read, write = "/api/v1/notifications/{subscription}", (P.SELF_READ,), (P.NOTIFICATIONS_WRITE,)
    told = {"channel": "webhook", "target": "https://told.example.org/"}
    return [
        Row("GET", "/api/v1/notifications/", read),
        Row("POST", "/api/v1/notifications/", write, body=told),
        Row("GET", path, read, **at),
        Row("DELETE", path, write, **at),
        Row("POST", f"{path}/confirm", write, body={"code": "any"}, **at),
        Row("POST", f"{path}/test", write, **at),
        Row("GET", f"{path}/deliveries", read, **at),
        Row("POST", f"{path}/deliveries/{{delivery}}/resend", write, **at),
    ]


def _catalogue() -> list[Row]:
    read, write = (P.CATALOGUE_READ,), (P.CATALOGUE_WRITE,)
    rows = [
        Row("POST", "/api/v1/flavours/", write, body={"name": "made", "cpu": 1, "memory": 64}),
        Row("POST", "/api/v1/images/", write, body={"name": "made", "instance_type": "vm", "reference": "made:1"}),
        Row("GET", "/api/v1/policy/", read),
        Row("PATCH", "/api/v1/policy/", write, body={"custom_sizes": True}),
    ]
    for noun in ("flavour", "image"):
        path = f"/api/v1/{noun}s/{{{noun}}}"
        rows += [
            Row("GET", f"/api/v1/{noun}s/", read),
            Row("GET", path, read, noun, forms=_NAME),
            Row("PATCH", path, write, noun, body={"enabled": True}, forms=_NAME),
            Row("DELETE", path, write, noun, forms=_NAME),
        ]
    return rows


def _public() -> list[Row]:
    gets = ("/health", "/livez", "/readyz", "/oauth/jwks.json", "/.well-known/oauth-authorization-server")
    posts = ("/oauth/token", "/oauth/revoke", "/oauth/device_authorization")
    return [Row("GET", path, ()) for path in gets] + [Row("POST", path, ()) for path in posts]


GROUPS = {
    "clusters": _clusters(),
    "instances": _instances(),
    "history": _history(),
    "users": _users(),
    "ssh keys": _ssh_keys(),
    "notifications": _notifications(),
    "catalogue": _catalogue(),
    "public": _public(),
}
ROWS = [row for rows in GROUPS.values() for row in rows]
