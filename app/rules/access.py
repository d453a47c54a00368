"""Who is asking, and which roles may do what. The table is the whole of it."""

import enum
import uuid
from dataclasses import dataclass

from app.models import Role


class Permission(enum.StrEnum):
    CLUSTERS_READ = "clusters:read"
    CLUSTERS_WRITE = "clusters:write"
    INSTANCES_OPERATE = "instances:operate"
    INSTANCES_LOGS = "instances:logs"
    INSTANCES_REACH = "instances:reach"
    SELF_READ = "self:read"
    TOKENS_WRITE = "tokens:write"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    EVERYONES = "everyones"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"


# Which roles have it, and what it is to have it. docs/permissions.md shows this table.
TABLE: dict[Permission, tuple[str, str]] = {
    Permission.CLUSTERS_READ: ("viewer user operator admin", "see clusters, instances, operations, events, usage"),
    Permission.CLUSTERS_WRITE: ("user operator admin", "create, change, scale, delete clusters; delete instances"),
    Permission.INSTANCES_OPERATE: ("user operator admin", "start, stop, suspend, restart, replace, move instances"),
    Permission.INSTANCES_LOGS: ("viewer user operator admin", "read what instances say"),
    Permission.INSTANCES_REACH: ("user operator admin", "commands, ports, consoles and screens of instances"),
    Permission.SELF_READ: ("viewer user operator admin", "see who one is, and one's quota"),
    Permission.TOKENS_WRITE: ("viewer user operator admin", "replace one's own token"),
    Permission.CATALOGUE_READ: ("viewer user operator admin", "see flavours, images and the policy"),
    Permission.CATALOGUE_WRITE: ("admin", "change flavours, images and the policy; see what is withdrawn"),
    Permission.EVERYONES: ("operator admin", "what one may with one's own, with everybody's too"),
    Permission.USERS_READ: ("operator admin", "see users and their quotas"),
    Permission.USERS_WRITE: ("admin", "make, change and delete users, replace their tokens"),
}
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    role: frozenset(permission for permission, (roles, _) in TABLE.items() if role in roles.split()) for role in Role
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever a request speaks for. `account_id` is the quota account that what they create is charged to."""

    user_id: uuid.UUID
    username: str
    role: Role

    @property
    def account_id(self) -> uuid.UUID:
        return self.user_id

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]
