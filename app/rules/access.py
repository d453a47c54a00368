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
    SELF = "self"
    EVERYONES = "everyones"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"


PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.USER: frozenset(
        {
            Permission.CLUSTERS_READ,
            Permission.CLUSTERS_WRITE,
            Permission.INSTANCES_OPERATE,
            Permission.INSTANCES_LOGS,
            Permission.INSTANCES_REACH,
            Permission.SELF,
            Permission.CATALOGUE_READ,
        }
    ),
    Role.ADMIN: frozenset(Permission),
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
