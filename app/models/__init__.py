"""Tables and enumerations: what CMP remembers, and the words for the states it can be in.

Units in the database: CPU in millicores, memory in MiB, times in UTC. This folder imports nothing of ours.
"""

from app.models.audit import AuditEntry
from app.models.base import AsciiString, Base, UtcDateTime
from app.models.catalogue import Flavour, Image, Platform
from app.models.clusters import Cluster, ClusterGrant, ClusterTransfer, Instance, LedgerEntry
from app.models.history import Event, Operation
from app.models.identity import DeviceCode, ProviderIdentity, RefreshToken, SigningKey
from app.models.processes import IdempotencyKey, Worker
from app.models.users import ApiToken, User
from app.models.words import (
    AuditOutcome,
    ClusterPhase,
    CredentialKind,
    GrantLevel,
    InstanceOperation,
    InstanceStatus,
    InstanceType,
    OperationKind,
    OperationStatus,
    QuotaStrategy,
    Reason,
    Role,
    UserKind,
    Wanted,
)

__all__ = [
    "ApiToken",
    "AsciiString",
    "AuditEntry",
    "AuditOutcome",
    "Base",
    "Cluster",
    "ClusterGrant",
    "ClusterPhase",
    "ClusterTransfer",
    "CredentialKind",
    "DeviceCode",
    "Event",
    "Flavour",
    "GrantLevel",
    "IdempotencyKey",
    "Image",
    "Instance",
    "InstanceOperation",
    "InstanceStatus",
    "InstanceType",
    "LedgerEntry",
    "Operation",
    "OperationKind",
    "OperationStatus",
    "Platform",
    "ProviderIdentity",
    "QuotaStrategy",
    "Reason",
    "RefreshToken",
    "Role",
    "SigningKey",
    "User",
    "UserKind",
    "UtcDateTime",
    "Wanted",
    "Worker",
]
