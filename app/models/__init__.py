"""Tables and enumerations: what CMP remembers, and the words for the states it can be in.

Units in the database: CPU in millicores, memory in MiB, times in UTC. This folder imports nothing of ours.
"""

from app.models.audit import AuditEntry
from app.models.base import AsciiString, Base, UtcDateTime
from app.models.catalogue import Flavour, Image, Platform
from app.models.clusters import Cluster, ClusterGrant, ClusterTransfer, Instance, LedgerEntry
from app.models.history import Event, Operation
from app.models.identity import DeviceCode, ProviderIdentity, RefreshToken, SigningKey
from app.models.notifications import Delivery, QuotaLevel, Subscription
from app.models.processes import IdempotencyKey, Worker
from app.models.users import ApiToken, SshKey, User
from app.models.words import (
    AuditOutcome,
    Channel,
    ClusterPhase,
    CredentialKind,
    DeliveryStatus,
    GrantLevel,
    InstanceOperation,
    InstanceStatus,
    InstanceType,
    OperationKind,
    OperationStatus,
    QuotaStrategy,
    Reason,
    Role,
    Topic,
    UserKind,
    Wanted,
)

__all__ = [
    "ApiToken",
    "AsciiString",
    "AuditEntry",
    "AuditOutcome",
    "Base",
    "Channel",
    "Cluster",
    "ClusterGrant",
    "ClusterPhase",
    "ClusterTransfer",
    "CredentialKind",
    "Delivery",
    "DeliveryStatus",
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
    "QuotaLevel",
    "QuotaStrategy",
    "Reason",
    "RefreshToken",
    "Role",
    "SigningKey",
    "SshKey",
    "Subscription",
    "Topic",
    "User",
    "UserKind",
    "UtcDateTime",
    "Wanted",
    "Worker",
]
