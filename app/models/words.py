"""The words for what things are and for the states they can be in."""

import enum


class InstanceType(enum.StrEnum):
    CONTAINER = "container"
    VM = "vm"


class InstanceStatus(enum.StrEnum):
    """What an instance is seen to be."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    FAILED = "failed"
    DELETING = "deleting"


class Wanted(enum.StrEnum):
    """What an instance is wished to be."""

    RUNNING = "running"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    ABSENT = "absent"


class InstanceOperation(enum.StrEnum):
    START = "start"
    STOP = "stop"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTART = "restart"
    REBOOT = "reboot"
    MIGRATE = "migrate"
    REPLACE = "replace"


class ClusterPhase(enum.StrEnum):
    PENDING = "pending"
    PROVISIONING = "provisioning"
    RUNNING = "running"
    DEGRADED = "degraded"
    FAILED = "failed"
    DELETING = "deleting"


class OperationKind(enum.StrEnum):
    CLUSTER_CREATE = "cluster.create"
    CLUSTER_DELETE = "cluster.delete"
    CLUSTER_SCALE = "cluster.scale"
    CLUSTER_UPDATE = "cluster.update"
    INSTANCE_START = "instance.start"
    INSTANCE_STOP = "instance.stop"
    INSTANCE_SUSPEND = "instance.suspend"
    INSTANCE_RESUME = "instance.resume"
    INSTANCE_RESTART = "instance.restart"
    INSTANCE_REBOOT = "instance.reboot"
    INSTANCE_MIGRATE = "instance.migrate"
    INSTANCE_REPLACE = "instance.replace"


class OperationStatus(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(enum.StrEnum):
    """Why something is not (yet) as wished; `rules.reasons` has the words and the remedy for each."""

    IMAGE_PULL = "image_pull"
    UNSCHEDULABLE = "unschedulable"
    QUOTA = "quota"
    CRASH_LOOP = "crash_loop"
    OUT_OF_MEMORY = "out_of_memory"
    EXITED = "exited"
    COMPLETED = "completed"
    EVICTED = "evicted"
    NODE_LOST = "node_lost"
    CONFIGURATION = "configuration"
    REJECTED = "rejected"
    VOLUME = "volume"
    SUSPEND_LOST = "suspend_lost"
    SUSPEND_UNSUPPORTED = "suspend_unsupported"
    MIGRATION_FAILED = "migration_failed"
    FOREIGN_OBJECT = "foreign_object"
    TERMINATION_STUCK = "termination_stuck"
    KUBERNETES_UNAVAILABLE = "kubernetes_unavailable"
    WAITING = "waiting"
    DEADLINE = "deadline"


class Role(enum.StrEnum):
    """`rules.access.PERMISSIONS` says what each may."""

    ADMIN = "admin"
    OPERATOR = "operator"
    USER = "user"
    VIEWER = "viewer"


class GrantLevel(enum.StrEnum):
    """`rules.access.GRANTS` says what each lets its holder do with one cluster. Each includes the ones before it."""

    VIEW = "view"
    OPERATE = "operate"
    MANAGE = "manage"


class QuotaStrategy(enum.StrEnum):
    """`auth.QUOTA_STRATEGIES` says what each charges and when."""

    ALLOCATED = "allocated"
    RUNNING = "running"


class UserKind(enum.StrEnum):
    """A service is a program's account: it has tokens and clients, but no password and no browser."""

    PERSON = "person"
    SERVICE = "service"


class CredentialKind(enum.StrEnum):
    """What a row of `api_tokens` is."""

    BEARER = "bearer"
    """A token that is sent as it is."""
    CLIENT = "client"
    """An id and a secret, which OAuth's client credentials grant turns into access tokens."""
    OAUTH = "oauth"
    """A person's sign-in from a program, kept up by refresh tokens."""
    BROWSER = "browser"
    """A person's sign-in from a browser, kept in a cookie."""


class AuditOutcome(enum.StrEnum):
    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Channel(enum.StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"


class Topic(enum.StrEnum):
    """What one may be told of; `rules.notifications` says which events those are."""

    QUOTA_THRESHOLD = "quota.threshold"
    CLUSTER_FAILED = "cluster.failed"
    INSTANCE_FAILED = "instance.failed"
    OPERATION_FAILED = "operation.failed"


class DeliveryStatus(enum.StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"
