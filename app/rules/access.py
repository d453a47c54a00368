"""Who is asking, and which roles may do what. The table is the whole of it."""

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime

from app.models import GrantLevel, Role


class Scope(enum.StrEnum):
    """What a token is narrowed to. Together with the role: what either leaves out is out."""

    READ = "read"
    OPERATE = "operate"
    WRITE = "write"
    ADMIN = "admin"


Scopes = frozenset[Scope] | None
"""None: all that the role may."""


def written(scopes: Scopes) -> str | None:
    """As the database and OAuth have them: words with spaces between."""
    return None if scopes is None else " ".join(sorted(scopes))


def read_scopes(words: str | None) -> Scopes:
    """Raises ValueError for a word that is none."""
    return None if words is None else frozenset(Scope(word) for word in words.split())


class Permission(enum.StrEnum):
    CLUSTERS_READ = "clusters:read"
    CLUSTERS_WRITE = "clusters:write"
    CLUSTERS_SHARE = "clusters:share"
    INSTANCES_OPERATE = "instances:operate"
    INSTANCES_LOGS = "instances:logs"
    INSTANCES_REACH = "instances:reach"
    SELF_READ = "self:read"
    TOKENS_WRITE = "tokens:write"
    NOTIFICATIONS_WRITE = "notifications:write"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    EVERYONES = "everyones"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    PLATFORM_WRITE = "platform:write"
    AUDIT_VERIFY = "audit:verify"
    METRICS_READ = "metrics:read"


# Which roles have it, which scopes of a token leave it, what it is to have it. docs/permissions.md shows this table.
TABLE: dict[Permission, tuple[str, str, str]] = {
    Permission.CLUSTERS_READ: (
        "viewer user operator admin",
        "read operate write",
        "see clusters, instances, operations, events, usage",
    ),
    Permission.CLUSTERS_WRITE: (
        "user operator admin",
        "write",
        "create, change, scale, delete clusters; delete instances",
    ),
    Permission.CLUSTERS_SHARE: (
        "user operator admin",
        "write",
        "share clusters with others, give them away, accept them",
    ),
    Permission.INSTANCES_OPERATE: (
        "user operator admin",
        "operate",
        "start, stop, suspend, restart, replace, move instances",
    ),
    Permission.INSTANCES_LOGS: ("viewer user operator admin", "read operate", "read what instances say"),
    Permission.INSTANCES_REACH: (
        "user operator admin",
        "operate",
        "commands, ports, consoles and screens of instances",
    ),
    Permission.SELF_READ: (
        "viewer user operator admin",
        "read operate write admin",
        "see who one is, one's quota, tokens, SSH keys, subscriptions and audit trail",
    ),
    Permission.TOKENS_WRITE: (
        "viewer user operator admin",
        "write",
        "make, revoke and replace one's own tokens, end sign-ins, set one's password, save and delete SSH keys",
    ),
    Permission.NOTIFICATIONS_WRITE: (
        "user operator admin",
        "write",
        "say where one is told of failures and of one's quota, and be told again",
    ),
    Permission.CATALOGUE_READ: (
        "viewer user operator admin",
        "read operate write admin",
        "see flavours, images and the policy",
    ),
    Permission.CATALOGUE_WRITE: ("admin", "admin", "change flavours, images and the policy; see what is withdrawn"),
    Permission.EVERYONES: ("operator admin", "read operate write", "what one may with one's own, with everybody's too"),
    Permission.USERS_READ: ("operator admin", "read admin", "see users and their quotas"),
    Permission.USERS_WRITE: ("admin", "admin", "make, change and delete users, and how they come in"),
    Permission.AUDIT_VERIFY: ("operator admin", "read admin", "see whether the audit trail still fits together"),
    Permission.METRICS_READ: (
        "operator admin",
        "read admin",
        "read the metrics of the platform, with accounts and their quotas in them",
    ),
    Permission.PLATFORM_WRITE: ("admin", "admin", "replace the keys that sign access tokens, seal secrets anew"),
}
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    role: frozenset(permission for permission, (roles, _, _) in TABLE.items() if role in roles.split()) for role in Role
}
SCOPES: dict[Scope, frozenset[Permission]] = {
    scope: frozenset(permission for permission, (_, scopes, _) in TABLE.items() if scope in scopes.split())
    for scope in Scope
}

_VIEW = frozenset({Permission.CLUSTERS_READ, Permission.INSTANCES_LOGS})
_OPERATE = _VIEW | {Permission.INSTANCES_OPERATE, Permission.INSTANCES_REACH}
# What a grant leaves of what its holder may; CLUSTERS_WRITE without deleting the cluster, which stays its owner's.
GRANTS: dict[GrantLevel, frozenset[Permission]] = {
    GrantLevel.VIEW: _VIEW,
    GrantLevel.OPERATE: _OPERATE,
    GrantLevel.MANAGE: _OPERATE | {Permission.CLUSTERS_WRITE},
}


class Access(enum.StrEnum):
    """What one is to a cluster: its owner, somebody it is shared with, or somebody whose role looks after everybody's.

    What it lets one do is never more than one's role and token do.
    """

    OWNER = "owner"
    ROLE = "role"
    MANAGE = "manage"
    OPERATE = "operate"
    VIEW = "view"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever a request speaks for. `account_id` is the quota account that what they create is charged to."""

    user_id: uuid.UUID
    username: str
    role: Role
    scopes: Scopes = None
    """Of the token that is used."""
    expires_at: datetime | None = None
    """Of the token that is used; None where it does not end, or is a person's own sign-in."""
    token_id: uuid.UUID | None = None

    @property
    def account_id(self) -> uuid.UUID:
        return self.user_id

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role] and (
            self.scopes is None or any(permission in SCOPES[scope] for scope in self.scopes)
        )

    def may_give(self, scopes: Scopes, expires_at: datetime | None) -> bool:
        """Whether a token of these is within the one that is used."""
        narrow = self.scopes is None or (scopes is not None and scopes <= self.scopes)
        return narrow and (self.expires_at is None or (expires_at is not None and expires_at <= self.expires_at))

    def may_with(self, access: Access, permission: Permission) -> bool:
        """Whether they may do that with a cluster to which they are this."""
        return self.may(permission) and (owns(access) or permission in GRANTS[GrantLevel(access)])


class ClusterAction(enum.StrEnum):
    """What can be done with a cluster as a whole."""

    OPERATE = "operate"
    CHANGE = "change"
    SCALE = "scale"
    SHARE = "share"
    TRANSFER = "transfer"
    DELETE = "delete"


_ACTIONS: dict[ClusterAction, tuple[Permission, bool]] = {
    ClusterAction.OPERATE: (Permission.INSTANCES_OPERATE, False),
    ClusterAction.CHANGE: (Permission.CLUSTERS_WRITE, False),
    ClusterAction.SCALE: (Permission.CLUSTERS_WRITE, False),
    ClusterAction.SHARE: (Permission.CLUSTERS_SHARE, True),
    ClusterAction.TRANSFER: (Permission.CLUSTERS_SHARE, True),
    ClusterAction.DELETE: (Permission.CLUSTERS_WRITE, True),
}


def owns(access: Access) -> bool:
    return access in (Access.OWNER, Access.ROLE)


def allowed_actions(viewer: Viewer, access: Access) -> list[ClusterAction]:
    """With a cluster that is not being deleted."""
    return [
        action
        for action, (permission, owners) in _ACTIONS.items()
        if viewer.may_with(access, permission) and (owns(access) or not owners)
    ]
