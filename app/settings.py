"""Every knob, as one class read from `CMP_*` and handed down. Nothing reads the environment anywhere else."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
# What is never the internet: private, shared, link-local with the metadata services of clouds, multicast, reserved, and
# translated IPv4.
_NOT_THE_INTERNET = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip


def _range(text: str) -> str:
    network = ipaddress.ip_network(text)
    if network.version == 6 and network.network_address.ipv4_mapped is not None:
        raise ValueError("Kubernetes takes no IPv4 range that is written as one of IPv6")
    return str(network)


Range = Annotated[str, AfterValidator(_range)]
Namespace = Annotated[str, Field(pattern=_NAMESPACE)]


class Settings(BaseSettings):
    """docs/settings.md is generated from this class."""

    model_config = SettingsConfigDict(env_prefix="CMP_", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on.")
    data_dir: Path = Field(Path(".cmp"), description="Where SQLite, the simulator's state and the first token live.")
    console_dir: Path = Field(Path("console/dist"), description="Where the built console is (`make console`).")
    database_url: SecretStr | None = Field(
        None,
        description="SQLAlchemy URL: sqlite, postgresql or mysql (also for MariaDB). "
        "Without it, an SQLite file below the data directory.",
    )
    database_tls: str | None = Field(
        None,
        description="Speak TLS with the database: the path of the PEM of the authority that its certificate must be "
        "from, or `system` for those the machine trusts. The host's name is checked.",
    )
    database_replica_url: SecretStr | None = Field(
        None,
        description="For the API: a streaming standby of the PostgreSQL of CMP_DATABASE_URL. Lists are read there as "
        "long as it has all that is committed. The role needs pg_read_all_stats.",
    )
    database_pool: int = Field(16, ge=2, le=200, description="Connections that each process keeps to the database.")
    cache_mib: int = Field(
        32,
        ge=0,
        le=4096,
        description="MiB of answers (lists of clusters, quotas) that each API process keeps, to send them again while "
        "nothing in them has changed. 0: none.",
    )
    kubernetes: str = Field(
        "auto",
        description="auto (in-cluster when it runs inside one, else the simulator), simulator, in-cluster, "
        "kubeconfig (its current context), or the path of a kubeconfig.",
    )
    worker: Literal["embedded", "separate"] = Field(
        "embedded", description="embedded: the API process reconciles too. separate: `python -m app.worker` does."
    )
    worker_concurrency: int = Field(32, ge=1, le=1000, description="Clusters that one worker visits at the same time.")
    kubernetes_concurrency: int = Field(
        20, ge=1, le=500, description="Changes that one worker sends to Kubernetes at the same time."
    )
    lease_seconds: float = Field(
        10.0, gt=1, le=600, description="How long a worker's claim on a cluster lasts unless renewed."
    )
    sweep_seconds: float = Field(
        60.0, gt=0.1, le=3600, description="How often each cluster is visited though nothing was heard of it."
    )
    history_days: int = Field(30, ge=1, le=3650, description="How long finished operations and events are kept.")
    audit_days: int = Field(365, ge=1, le=36_500, description="How long the audit trail is kept.")
    idempotency_hours: int = Field(24, ge=1, le=720, description="How long an Idempotency-Key is remembered.")
    orphan_grace_seconds: float = Field(
        600.0, ge=0, description="How long an object of ours without a row is left alone before it counts as an orphan."
    )
    default_container_image: str = Field("nginx:latest", description="Image of container instances when none is named.")
    default_vm_image: str = Field(
        "kubevirt/cirros-container-disk-demo:latest",
        description="containerDisk image of VM instances when none is named.",
    )
    max_instances: int = Field(1000, ge=1, le=3000, description="Instances that one cluster may have.")
    default_quota_cpu: float = Field(16, ge=0, description="CPU cores of a new user's quota when none is named.")
    default_quota_memory: int = Field(
        32768, ge=0, description="MiB of memory of a new user's quota when none is named."
    )
    default_quota_instances: int = Field(100, ge=0, description="Instances of a new user's quota when none is named.")
    default_quota_clusters: int = Field(20, ge=0, description="Clusters of a new user's quota when none is named.")
    default_quota_storage: int = Field(
        102_400, ge=0, description="MiB of persistent volumes of a new user's quota when none is named."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Seals what users entrust to CMP (secret environment, cloud-init, registry passwords): 32 random "
        "bytes in base64, the same for every process; of several, separated by commas, the first seals and all open. "
        "Without it, CMP on SQLite makes one in its data directory; on other databases it takes no secrets.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#]+$",
        description="Where people and programs reach CMP, such as https://cmp.example.org: the issuer of its access "
        "tokens, and where single sign-on comes back to. Without it, http:// and the address it listens on.",
    )
    access_token_seconds: int = Field(900, ge=60, le=3600, description="How long an OAuth access token lasts.")
    sign_in_days: int = Field(
        30, ge=1, le=365, description="How long a program's sign-in lasts, however often it refreshes its tokens."
    )
    session_hours: float = Field(12, gt=0, le=720, description="How long a browser's session lasts at most.")
    session_idle_minutes: float = Field(
        120, gt=1, le=43_200, description="How long a browser's session lasts without being used."
    )
    signing_key_days: int = Field(
        30, ge=1, le=3650, description="How long a key signs access tokens until a new one does."
    )
    oidc_issuer: str | None = Field(
        None, description="Single sign-on: the issuer URL of an OpenID Connect provider, exactly as it names itself."
    )
    oidc_client_id: str = Field("cmp", description="What the provider knows CMP as.")
    oidc_client_secret: SecretStr | None = Field(None, description="None for a public client: PKCE is used anyway.")
    oidc_scope: str = Field("openid profile", description="What is asked of the provider.")
    oidc_name: str = Field("single sign-on", description="What the button for it says after `Sign in with`.")
    oidc_sign_up: bool = Field(
        False, description="Whether whoever the provider vouches for gets an account: role user, the default quota."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="How many proxies of yours stand in front. Who asks, and whether they came by TLS, is then "
        "taken from what the outermost of them wrote, counted from the right of X-Forwarded-For and -Proto. "
        "0: those headers count for nothing.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM chain to serve HTTPS with; without it, TLS is a proxy's to end."
    )
    tls_key: Path | None = Field(None, description="PEM key of the certificate; none when it is in the same file.")
    redis_url: SecretStr | None = Field(
        None,
        description="redis:// or rediss://. With several API processes, rate limits are then counted together; "
        "nothing else needs it.",
    )
    rate_address: int = Field(24_000, ge=0, description="Requests a minute from one address; 0: any number.")
    rate_token: int = Field(6_000, ge=0, description="Requests a minute with one token or session; 0: any number.")
    rate_account: int = Field(12_000, ge=0, description="Requests a minute of one account; 0: any number.")
    cors_origins: list[str] = Field(
        [], description="Origins, exact, whose pages may call the API from a browser. JSON list."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body.")
    drain_seconds: float = Field(
        0.0,
        ge=0,
        le=600,
        description="How long an API process goes on serving when it is told to end, with /readyz at 503 and every "
        "connection closed after its answer, so that a load balancer turns away from it first.",
    )
    max_wait_seconds: int = Field(300, ge=1, le=3600, description="Longest `wait` that a request may ask for.")
    streams_per_process: int = Field(
        500, ge=1, description="Streams to instances (logs, exec, ports, consoles) that one API process has open."
    )
    streams_per_account: int = Field(50, ge=1, description="Of those, how many may belong to one account.")
    stream_idle_seconds: float = Field(
        900.0, gt=0, description="How long a stream may be silent in both directions; does not hold for logs."
    )
    stream_lifetime_seconds: float = Field(28_800.0, gt=0, description="How long a stream may be open.")
    stream_ping_seconds: float = Field(
        20.0,
        gt=0,
        le=3600,
        description="How often an open WebSocket is pinged, so that no proxy takes it for dead.",
    )
    pod_security: Literal["baseline", "restricted"] = Field(
        "baseline",
        description="Which of the Pod Security Standards every tenant namespace enforces. restricted: nothing runs as "
        "root, so most images that were made to begin as root do not run. KubeVirt runs VMs under it only where it is "
        "told to use the runtime's seccomp profile.",
    )
    user_namespaces: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether containers have users of their own, so that root in one is nobody on its node "
        "(hostUsers: false). auto: where every node says that it can, and the container has no persistent volume and "
        "no runtime class.",
    )
    egress_cidrs: list[Range] = Field(
        ["0.0.0.0/0", "::/0"],
        description="Where instances may connect to, beside DNS and the clusters of the same owner. JSON list; []: "
        "nowhere.",
    )
    egress_except: list[Range] = Field(
        list(_NOT_THE_INTERNET),
        description="Where they may not, within that: name the ranges of nodes, Pods and Services here where those are "
        "public addresses. JSON list.",
    )
    ingress_namespaces: list[Namespace] = Field(
        [],
        description="Namespaces, such as an ingress controller's, which reach the declared ports of every cluster. "
        "JSON list.",
    )
    kubevirt_namespace: Namespace = Field(
        "kubevirt", description="Where KubeVirt is installed: its virt-api reaches the ports of VMs for those who may."
    )
    webhook_http: bool = Field(
        False, description="Whether notifications may go to plain http:// too: anybody on the way then reads them."
    )
    webhook_cidrs: list[Range] = Field(
        [],
        description="Where webhooks may go beside the internet, such as 10.1.2.0/24: without it, no private, local or "
        "metadata address is connected to, and none of CMP_EGRESS_EXCEPT. JSON list.",
    )
    notification_seconds: float = Field(
        10.0, gt=0, le=60, description="How long one try to deliver a notification may take."
    )
    notification_retry_seconds: float = Field(
        5.0,
        gt=0,
        le=600,
        description="How long after a try that failed the next one is. Each further pause is four times as long, up to "
        "six hours; after a day it is given up.",
    )
    smtp_host: str | None = Field(
        None, description="Mail server for notifications. Without it, one is told by webhooks only."
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="tls: from the first byte, mostly on port 465. none: for a server on this machine."
    )
    smtp_user: str | None = Field(None, description="Whom CMP signs in as there; without it, it does not.")
    smtp_password: SecretStr | None = Field(None, description="With which password.")
    smtp_from: str = Field("cmp@localhost", description="The address that the mail is from.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which this process, API or worker, serves its metrics to whoever reaches it. Without it, "
        "/metrics of the API, which asks for a token, is the only place.",
    )
    metrics_host: str = Field("127.0.0.1", description="Address that the metrics port listens on.")
    metrics_seconds: float = Field(
        15.0, gt=0, le=600, description="How often a worker counts in the database what metrics say of all of it."
    )
    metrics_accounts: int = Field(
        100, ge=0, le=10_000, description="Accounts whose quota the metrics name; those of the others are summed up."
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^?#]+$",
        description="Where traces go: a collector's base URL for OTLP over HTTP, such as http://127.0.0.1:4318. "
        "Without it, nothing is traced. Headers, sampling and the like: OpenTelemetry's own `OTEL_` variables.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )

    def issuer(self) -> str:
        """What access tokens name, and what paths for other programs and browsers begin with."""
        scheme = "http" if self.tls_certificate is None else "https"
        return self.public_url or f"{scheme}://{self.host}:{self.port}"

    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir / 'cmp.sqlite3'}"
