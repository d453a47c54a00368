"""What CMP is sent and answers, as dicts. Generated from docs/openapi.json by `make docs`."""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

T = TypeVar("T")


class Listing(TypedDict, Generic[T]):
    """One page; `next_cursor` is None on the last one."""

    items: list[T]
    next_cursor: str | None


Access = Literal["owner", "role", "manage", "operate", "view"]
AuditOutcome = Literal["pending", "done", "refused", "failed", "unknown"]
Channel = Literal["webhook", "email"]
ClusterAction = Literal["operate", "change", "scale", "share", "transfer", "delete"]
ClusterPhase = Literal["pending", "provisioning", "running", "degraded", "failed", "deleting"]
CredentialKind = Literal["bearer", "client", "oauth", "browser"]
DeliveryStatus = Literal["waiting", "delivered", "gave_up"]
GrantLevel = Literal["view", "operate", "manage"]
InstanceOperation = Literal["start", "stop", "suspend", "resume", "restart", "reboot", "migrate", "replace"]
InstanceStatus = Literal[
    "pending", "starting", "running", "stopping", "stopped", "suspending", "suspended", "failed", "deleting"
]
InstanceType = Literal["container", "vm"]
OperationKind = Literal[
    "cluster.create",
    "cluster.delete",
    "cluster.scale",
    "cluster.update",
    "instance.start",
    "instance.stop",
    "instance.suspend",
    "instance.resume",
    "instance.restart",
    "instance.reboot",
    "instance.migrate",
    "instance.replace",
]
OperationStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
Permission = Literal[
    "clusters:read",
    "clusters:write",
    "clusters:share",
    "instances:operate",
    "instances:logs",
    "instances:reach",
    "self:read",
    "tokens:write",
    "notifications:write",
    "catalogue:read",
    "catalogue:write",
    "everyones",
    "users:read",
    "users:write",
    "platform:write",
    "audit:verify",
    "metrics:read",
]
QuotaStrategy = Literal["allocated", "running"]
Role = Literal["admin", "operator", "user", "viewer"]
Scope = Literal["read", "operate", "write", "admin"]
Topic = Literal["quota.threshold", "cluster.failed", "instance.failed", "operation.failed"]
UserKind = Literal["person", "service"]


class Accepted(TypedDict):
    message: str
    operation: OperationRead


class ApiTokenCreated(TypedDict):
    """Secrets are shown this once, and are None in the repeated answer to an Idempotency-Key."""

    client_id: str | None
    client_secret: str | None
    created_at: str
    expires_at: str | None
    hint: str
    id: str
    kind: CredentialKind
    last_used_at: str | None
    name: str
    scopes: list[Scope] | None
    token: str | None


class ApiTokenRead(TypedDict):
    created_at: str
    expires_at: str | None
    hint: str
    id: str
    kind: CredentialKind
    last_used_at: str | None
    name: str
    scopes: list[Scope] | None


class AuditRead(TypedDict):
    actor: str | None
    actor_id: str | None
    address: str
    chain: str | None
    created_at: str
    credential: CredentialKind | None
    credential_id: str | None
    finished_at: str | None
    id: str
    method: str
    outcome: AuditOutcome
    path: str
    request_id: str
    seq: int | None
    status: int | None


class AuditVerified(TypedDict):
    broken_at: int | None
    entries: int
    unkeyed: int


class BulkDelete(TypedDict):
    """Clusters by id or name."""

    ids: list[str]


class BulkItem(TypedDict):
    id: str
    operation: OperationRead | None
    problem: Problem | None


class BulkOperate(TypedDict):
    """Instances by id or name."""

    grace_seconds: NotRequired[int | None]
    ids: list[str]
    operation: InstanceOperation


class BulkResult(TypedDict):
    failed: int
    items: list[BulkItem]
    succeeded: int


class Capabilities(TypedDict):
    console: bool
    exec: bool
    logs: bool
    migrate: bool
    port_forward: bool
    suspend: str | None
    vnc: bool


class CloudInit(TypedDict):
    """Given to the guest as a NoCloud disk, through a Secret."""

    network_data: NotRequired[str | None]
    user_data: NotRequired[str | None]


class ClusterChange(TypedDict):
    """What is to be different; what is left out stays. `container`, `vm` and `labels` are JSON merge patches
    (RFC 7396) of what is there: null takes away.
    """

    container: NotRequired[dict[str, Any] | None]
    cpu_per_instance: NotRequired[float | str | None]
    flavour: NotRequired[str | None]
    image: NotRequired[str | None]
    labels: NotRequired[dict[str, str | None] | None]
    max_unavailable: NotRequired[int | None]
    memory_per_instance: NotRequired[int | str | None]
    vm: NotRequired[dict[str, Any] | None]


class ClusterCreate(TypedDict):
    """A cluster to be: so many equal instances."""

    container: NotRequired[ContainerSettings | None]
    cpu_per_instance: NotRequired[float | str | None]
    flavour: NotRequired[str | None]
    image: NotRequired[str | None]
    instance_count: NotRequired[int]
    instance_type: InstanceType
    labels: NotRequired[dict[str, str]]
    max_unavailable: NotRequired[int]
    memory_per_instance: NotRequired[int | str | None]
    name: str
    vm: NotRequired[VmSettings | None]


class ClusterRead(TypedDict):
    access: Access
    allowed_actions: list[ClusterAction]
    container: ContainerSettingsRead | None
    cpu_per_instance: float
    created_at: str
    flavour: str | None
    id: str
    image: str
    image_name: str | None
    instance_count: int
    instance_type: InstanceType
    instances: list[InstanceRead]
    labels: dict[str, str]
    max_unavailable: int
    memory_per_instance: int
    message: str | None
    name: str
    namespace: str
    operation: OperationRead | None
    owner: str
    phase: ClusterPhase
    ready_instances: int
    reason: str | None
    updated_at: str
    vm: VmSettingsRead | None


class ClusterScale(TypedDict):
    """How many instances there are to be, or which ones are to go."""

    instance_count: NotRequired[int | None]
    remove: NotRequired[list[str] | None]


class ClusterSummary(TypedDict):
    """A cluster as lists show it."""

    access: Access
    cpu_per_instance: float
    created_at: str
    flavour: str | None
    id: str
    image: str
    image_name: str | None
    instance_count: int
    instance_type: InstanceType
    labels: dict[str, str]
    max_unavailable: int
    memory_per_instance: int
    message: str | None
    name: str
    namespace: str
    owner: str
    phase: ClusterPhase
    ready_instances: int
    reason: str | None
    updated_at: str


class ContainerSettings(TypedDict):
    args: NotRequired[list[str] | None]
    capabilities: NotRequired[
        list[
            Literal[
                "AUDIT_WRITE",
                "CHOWN",
                "DAC_OVERRIDE",
                "FOWNER",
                "FSETID",
                "KILL",
                "NET_BIND_SERVICE",
                "SETFCAP",
                "SETGID",
                "SETPCAP",
                "SETUID",
                "SYS_CHROOT",
            ]
        ]
        | None
    ]
    command: NotRequired[list[str] | None]
    env: NotRequired[dict[str, str]]
    group: NotRequired[int | None]
    health: NotRequired[HealthInput | None]
    ports: NotRequired[list[PortSettings]]
    pull_policy: NotRequired[Literal["always", "if-not-present", "never"] | None]
    registry: NotRequired[RegistryLogin | None]
    restart_policy: NotRequired[Literal["always", "on-failure", "never"]]
    secret_env: NotRequired[dict[str, str]]
    user: NotRequired[int | None]
    volumes: NotRequired[list[EmptyVolumeInput | PersistentVolumeInput]]
    working_dir: NotRequired[str | None]


class ContainerSettingsRead(TypedDict):
    args: NotRequired[list[str] | None]
    capabilities: NotRequired[
        list[
            Literal[
                "AUDIT_WRITE",
                "CHOWN",
                "DAC_OVERRIDE",
                "FOWNER",
                "FSETID",
                "KILL",
                "NET_BIND_SERVICE",
                "SETFCAP",
                "SETGID",
                "SETPCAP",
                "SETUID",
                "SYS_CHROOT",
            ]
        ]
        | None
    ]
    command: NotRequired[list[str] | None]
    env: NotRequired[dict[str, str]]
    group: NotRequired[int | None]
    health: NotRequired[WorkloadsHealth | None]
    ports: NotRequired[list[PortSettings]]
    pull_policy: NotRequired[Literal["always", "if-not-present", "never"] | None]
    registry: NotRequired[RegistryAccount | None]
    restart_policy: NotRequired[Literal["always", "on-failure", "never"]]
    runtime_class: NotRequired[str | None]
    secret_env: NotRequired[list[str]]
    user: NotRequired[int | None]
    volumes: NotRequired[list[EmptyVolumeOutput | PersistentVolumeOutput]]
    working_dir: NotRequired[str | None]


class DeliveryRead(TypedDict):
    attempts: int
    created_at: str
    id: str
    next_try_at: str | None
    said: str | None
    status: DeliveryStatus
    topic: str
    tried_at: str | None


class Dimensions(TypedDict):
    clusters: int
    cpu: float
    instances: int
    memory: int
    storage: int


class DiskInput(TypedDict):
    """A further disk: `persistent` is kept while the instance exists, `empty` ends when the VM stops."""

    name: str
    size: int | str
    storage_class: NotRequired[str | None]
    type: Literal["persistent", "empty"]


class DiskOutput(TypedDict):
    """A further disk: `persistent` is kept while the instance exists, `empty` ends when the VM stops."""

    name: str
    size: int
    storage_class: NotRequired[str | None]
    type: Literal["persistent", "empty"]


class EmptyVolumeInput(TypedDict):
    """Scratch space that ends with the Pod. In memory it counts towards the instance's memory."""

    in_memory: NotRequired[bool]
    mount_path: str
    name: str
    size: NotRequired[int | str | None]
    type: Literal["empty"]


class EmptyVolumeOutput(TypedDict):
    """Scratch space that ends with the Pod. In memory it counts towards the instance's memory."""

    in_memory: NotRequired[bool]
    mount_path: str
    name: str
    size: NotRequired[int | None]
    type: Literal["empty"]


class EventRead(TypedDict):
    actor: str
    cluster_id: str | None
    cluster_name: str | None
    created_at: str
    id: int
    instance_id: str | None
    instance_name: str | None
    kind: str
    message: str | None
    operation_id: str | None
    reason: str | None
    request_id: str | None
    status: str | None


class FlavourChange(TypedDict):
    """What is named changes; the rest stays. A size never changes: make another flavour and deprecate this one."""

    default: NotRequired[bool | None]
    deprecated: NotRequired[str | None]
    description: NotRequired[str | None]
    enabled: NotRequired[bool | None]


class FlavourCreate(TypedDict):
    """A size with a name."""

    cpu: float | str
    default: NotRequired[bool]
    deprecated: NotRequired[str | None]
    description: NotRequired[str]
    enabled: NotRequired[bool]
    instance_type: NotRequired[InstanceType | None]
    instancetype: NotRequired[str | None]
    memory: int | str
    name: str
    preference: NotRequired[str | None]
    runtime_class: NotRequired[str | None]


class FlavourRead(TypedDict):
    cpu: float
    created_at: str
    default: bool
    deprecated: str | None
    description: str
    enabled: bool
    instance_type: InstanceType | None
    instancetype: str | None
    memory: int
    name: str
    preference: str | None
    runtime_class: str | None
    updated_at: str


class GrantPut(TypedDict):
    level: GrantLevel


class GrantRead(TypedDict):
    created_at: str
    granted_by: str
    level: GrantLevel
    updated_at: str
    user_id: str
    username: str


class HealthInput(TypedDict):
    """Not ready: not counted as running. Not alive: its process is started again. Startup holds both back."""

    liveness: NotRequired[Probe | None]
    readiness: NotRequired[Probe | None]
    startup: NotRequired[Probe | None]


class HttpProbe(TypedDict):
    path: NotRequired[str]
    port: int


class IdentityCreate(TypedDict):
    issuer: str
    subject: str


class IdentityRead(TypedDict):
    created_at: str
    id: str
    issuer: str
    subject: str


class ImageChange(TypedDict):
    """What is named changes; the rest stays. Clusters keep the reference that they were made with."""

    default: NotRequired[bool | None]
    deprecated: NotRequired[str | None]
    description: NotRequired[str | None]
    enabled: NotRequired[bool | None]
    reference: NotRequired[str | None]


class ImageCreate(TypedDict):
    """An image with a name."""

    default: NotRequired[bool]
    deprecated: NotRequired[str | None]
    description: NotRequired[str]
    enabled: NotRequired[bool]
    instance_type: InstanceType
    name: str
    reference: str


class ImageRead(TypedDict):
    created_at: str
    default: bool
    deprecated: str | None
    description: str
    enabled: bool
    instance_type: InstanceType
    name: str
    reference: str
    updated_at: str


class InstanceRead(TypedDict):
    access: Access
    allowed_operations: list[InstanceOperation]
    capabilities: Capabilities
    cluster_id: str
    cpu: float
    created_at: str
    guest: dict[str, Any] | None
    id: str
    instance_name: str
    ip: str | None
    k8s_resource: str
    memory: int
    message: str | None
    node: str | None
    reason: str | None
    restart_required: bool
    restarts: int
    status: InstanceStatus
    updated_at: str


class InvariantRead(TypedDict):
    """What must always be so, looked at now."""

    found: list[str]
    holds: bool
    name: str


class KernelBoot(TypedDict):
    """Boot this kernel from an image that holds it, instead of what the root disk begins with."""

    image: str
    initrd_path: NotRequired[str | None]
    kernel_args: NotRequired[str]
    kernel_path: str


class LeaseRead(TypedDict):
    """A worker is at this cluster."""

    cluster_id: str
    cluster_name: str
    owner: str
    until: str


class MeRead(TypedDict):
    created_at: str
    disabled: bool
    has_password: bool
    id: str
    kind: UserKind
    permissions: list[Permission]
    quota_clusters: int
    quota_cpu: float
    quota_instances: int
    quota_memory: int
    quota_storage: int
    quota_strategy: QuotaStrategy
    role: Role
    token_hint: str
    updated_at: str
    used_clusters: int
    used_cpu: float
    used_instances: int
    used_memory: int
    used_storage: int
    username: str


class Operate(TypedDict):
    grace_seconds: NotRequired[int | None]
    operation: InstanceOperation


class OperateResult(TypedDict):
    instance: InstanceRead
    operation: OperationRead


class OperationRead(TypedDict):
    actor: str
    cluster_id: str
    cluster_name: str
    created_at: str
    done: int
    finished_at: str | None
    id: str
    instance_id: str | None
    instance_name: str | None
    kind: OperationKind
    message: str | None
    reason: str | None
    request_id: str
    status: OperationStatus
    total: int
    updated_at: str


class Part(TypedDict):
    detail: str
    ok: bool


class PasswordChange(TypedDict):
    current_password: NotRequired[str | None]
    password: str


class PersistentVolumeInput(TypedDict):
    """A disk of each instance's own, kept while the instance exists, whatever happens to what runs in it."""

    mount_path: str
    name: str
    read_only: NotRequired[bool]
    size: int | str
    storage_class: NotRequired[str | None]
    type: Literal["persistent"]


class PersistentVolumeOutput(TypedDict):
    """A disk of each instance's own, kept while the instance exists, whatever happens to what runs in it."""

    mount_path: str
    name: str
    read_only: NotRequired[bool]
    size: int
    storage_class: NotRequired[str | None]
    type: Literal["persistent"]


class PlatformHealth(TypedDict):
    parts: dict[str, Part]
    status: str
    version: str


class PlatformRead(TypedDict):
    invariants: list[InvariantRead]
    leases: list[LeaseRead]
    leases_held: int
    repairs: list[RepairRead]
    workers: list[WorkerRead]


class PolicyChange(TypedDict):
    """What is named changes; the rest stays."""

    allowed_images: NotRequired[list[str] | None]
    custom_sizes: NotRequired[bool | None]


class PolicyRead(TypedDict):
    """What users may choose beside the catalogue."""

    allowed_images: list[str]
    custom_sizes: bool


class PortSettings(TypedDict):
    """A port that instances listen on. It is reached inside the cluster's namespace by the cluster's name."""

    name: NotRequired[str | None]
    port: int
    protocol: NotRequired[Literal["TCP", "UDP"]]


class Probe(TypedDict):
    """Exactly one of `http`, `tcp` and `command` says what is asked."""

    command: NotRequired[list[str] | None]
    failure_threshold: NotRequired[int]
    http: NotRequired[HttpProbe | None]
    initial_delay_seconds: NotRequired[int]
    interval_seconds: NotRequired[int]
    tcp: NotRequired[int | None]
    timeout_seconds: NotRequired[int]


class Problem(TypedDict):
    """RFC 9457, with a stable `code`."""

    code: str
    detail: str
    request_id: str
    status: int
    title: str
    type: str


class QuotaRead(TypedDict):
    available: Dimensions
    strategy: QuotaStrategy
    total: Dimensions
    used: Dimensions


class RegistryAccount(TypedDict):
    server: str
    username: str


class RegistryLogin(TypedDict):
    """Credentials with which the image is pulled."""

    password: str
    server: str
    username: str


class RepairRead(TypedDict):
    """What a worker found when it last swept, and what it did about it."""

    created_at: str
    kind: str
    message: str | None


class Resealed(TypedDict):
    resealed: int
    unreadable: int


class RootDiskInput(TypedDict):
    """`image`: the image's disk, fresh at every start. `persistent`: a disk that is filled from the image once;
    this needs KubeVirt's Containerized Data Importer. `blank`: an empty persistent disk, for VMs that boot from
    a kernel.
    """

    size: NotRequired[int | str | None]
    storage_class: NotRequired[str | None]
    type: NotRequired[Literal["image", "persistent", "blank"]]


class RootDiskOutput(TypedDict):
    """`image`: the image's disk, fresh at every start. `persistent`: a disk that is filled from the image once;
    this needs KubeVirt's Containerized Data Importer. `blank`: an empty persistent disk, for VMs that boot from
    a kernel.
    """

    size: NotRequired[int | None]
    storage_class: NotRequired[str | None]
    type: NotRequired[Literal["image", "persistent", "blank"]]


class SshKeyCreate(TypedDict):
    name: str
    public_key: str


class SshKeyRead(TypedDict):
    created_at: str
    fingerprint: str
    id: str
    name: str
    public_key: str


class SubscriptionConfirm(TypedDict):
    code: str


class SubscriptionCreate(TypedDict):
    channel: Channel
    target: str
    topics: NotRequired[list[Topic]]


class SubscriptionCreated(TypedDict):
    """The secret is shown this once, and is None in the repeated answer to an Idempotency-Key."""

    channel: Channel
    confirmed: bool
    created_at: str
    failures: int
    id: str
    secret: str | None
    target: str
    topics: list[Topic]


class SubscriptionRead(TypedDict):
    channel: Channel
    confirmed: bool
    created_at: str
    failures: int
    id: str
    target: str
    topics: list[Topic]


class TokenCreate(TypedDict):
    expires_at: NotRequired[str | None]
    kind: NotRequired[Literal["bearer", "client"]]
    name: str
    scopes: NotRequired[list[Scope] | None]


class TokenRead(TypedDict):
    token: str | None


class TransferCreate(TypedDict):
    to: str


class TransferRead(TypedDict):
    """An offer, until it is accepted, declined or withdrawn."""

    cluster_id: str
    cluster_name: str
    created_at: str
    id: str
    instance_count: int
    instance_type: InstanceType
    needs: Dimensions
    offered_by: str
    owner: str
    to: str


class UsageRead(TypedDict):
    """What it uses, as last measured."""

    cpu: float
    memory: int
    source: Literal["metrics.k8s.io"]
    timestamp: str
    window_seconds: float


class UserChange(TypedDict):
    """What is named changes; the rest stays."""

    disabled: NotRequired[bool | None]
    instances: NotRequired[Literal["keep", "stop"]]
    quota_clusters: NotRequired[int | None]
    quota_cpu: NotRequired[float | str | None]
    quota_instances: NotRequired[int | None]
    quota_memory: NotRequired[int | str | None]
    quota_storage: NotRequired[int | str | None]
    quota_strategy: NotRequired[QuotaStrategy | None]
    role: NotRequired[Role | None]


class UserCreate(TypedDict):
    kind: NotRequired[UserKind]
    quota_clusters: NotRequired[int | None]
    quota_cpu: NotRequired[float | str | None]
    quota_instances: NotRequired[int | None]
    quota_memory: NotRequired[int | str | None]
    quota_storage: NotRequired[int | str | None]
    quota_strategy: NotRequired[QuotaStrategy]
    role: NotRequired[Role]
    username: str


class UserCreated(TypedDict):
    created_at: str
    disabled: bool
    has_password: bool
    id: str
    kind: UserKind
    quota_clusters: int
    quota_cpu: float
    quota_instances: int
    quota_memory: int
    quota_storage: int
    quota_strategy: QuotaStrategy
    role: Role
    token: str | None
    token_hint: str
    updated_at: str
    used_clusters: int
    used_cpu: float
    used_instances: int
    used_memory: int
    used_storage: int
    username: str


class UserLeaving(TypedDict):
    """The user is disabled and their clusters are being deleted; the same request again deletes the user then."""

    message: str
    operations: list[OperationRead]


class UserRead(TypedDict):
    created_at: str
    disabled: bool
    has_password: bool
    id: str
    kind: UserKind
    quota_clusters: int
    quota_cpu: float
    quota_instances: int
    quota_memory: int
    quota_storage: int
    quota_strategy: QuotaStrategy
    role: Role
    token_hint: str
    updated_at: str
    used_clusters: int
    used_cpu: float
    used_instances: int
    used_memory: int
    used_storage: int
    username: str


class VmSettings(TypedDict):
    cloud_init: NotRequired[CloudInit | None]
    kernel_boot: NotRequired[KernelBoot | None]
    ports: NotRequired[list[PortSettings]]
    preference: NotRequired[str | None]
    pull_policy: NotRequired[Literal["always", "if-not-present", "never"] | None]
    registry: NotRequired[RegistryLogin | None]
    root_disk: NotRequired[RootDiskInput]
    run_strategy: NotRequired[Literal["always", "rerun-on-failure", "once"]]
    ssh_keys: NotRequired[list[str]]
    volumes: NotRequired[list[DiskInput]]


class VmSettingsRead(TypedDict):
    cloud_init: NotRequired[list[str]]
    instancetype: NotRequired[str | None]
    kernel_boot: NotRequired[KernelBoot | None]
    ports: NotRequired[list[PortSettings]]
    preference: NotRequired[str | None]
    pull_policy: NotRequired[Literal["always", "if-not-present", "never"] | None]
    registry: NotRequired[RegistryAccount | None]
    root_disk: NotRequired[RootDiskOutput]
    run_strategy: NotRequired[Literal["always", "rerun-on-failure", "once"]]
    ssh_keys: NotRequired[list[str]]
    volumes: NotRequired[list[DiskOutput]]


class WorkerRead(TypedDict):
    host: str
    id: str
    kubernetes: str | None
    kubernetes_error: str | None
    pid: int
    seen_at: str
    started_at: str


class WorkloadsHealth(TypedDict):
    """Not ready: not counted as running. Not alive: its process is started again. Startup holds both back."""

    liveness: NotRequired[Probe | None]
    readiness: NotRequired[Probe | None]
    startup: NotRequired[Probe | None]
