"""What an instance is made of beyond size and image: one class of settings per instance type.

Each is stored as it stands here but for its secrets, which are sealed: answers name them and never hold them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from app.rules import naming, ssh_keys, units
from app.schemas.fields import Image, In, Out

NAME = r"^[a-z]([-a-z0-9]{0,37}[a-z0-9])?$"
ENVIRONMENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
ABSOLUTE_PATH = r"^/[^\x00-\x1f\x7f:]*$"
# A server as image references name it, with its port where it has one.
REGISTRY = r"^[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[-._/A-Za-z0-9]*)?$"
STORAGE_CLASS = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"

_RESERVED_PATHS = ("/", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("a NUL character cannot be part of it")
    return value


def _mountable(path: str) -> str:
    if path.rstrip("/") in _RESERVED_PATHS or path == "/" or "/../" in f"{path}/":
        raise ValueError("nothing can be mounted there")
    return path


def _unique(names: list[str], noun: str) -> None:
    if len(names) != len(set(names)):
        raise ValueError(f"every {noun} needs a name of its own")


def _gibibytes_schema() -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": units.MAX_MIB},
            {"type": "string", "pattern": r"^([1-9][0-9]{0,6}Mi|[1-9][0-9]{0,3}Gi)$"},
        ],
        "description": "MiB, such as 10240, or a quantity, such as 10Gi.",
        "examples": ["10Gi"],
    }


Text = Annotated[str, Field(max_length=32_768), AfterValidator(_text)]
Word = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_text)]
Words = Annotated[list[Word], Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(pattern=NAME)]
EnvironmentName = Annotated[str, Field(min_length=1, max_length=253, pattern=ENVIRONMENT_NAME)]
Environment = Annotated[
    dict[EnvironmentName, Text], Field(max_length=200, json_schema_extra={"additionalProperties": False})
]
Path = Annotated[str, Field(min_length=1, max_length=1024, pattern=ABSOLUTE_PATH)]
MountPath = Annotated[Path, AfterValidator(_mountable)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Size = Annotated[int, BeforeValidator(units.mebibytes), WithJsonSchema(_gibibytes_schema(), mode="validation")]
UserId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seconds = Annotated[int, Field(ge=1, le=3600)]
Capability = Literal[
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT",
]  # fmt: skip
Pull = Literal["always", "if-not-present", "never"]
StorageClass = Annotated[str, Field(min_length=1, max_length=253, pattern=STORAGE_CLASS)]
SshKey = Annotated[str, Field(min_length=1, max_length=8192, pattern=ssh_keys.KEY_OR_NAME)]


class Settings(In):
    """What the settings of every instance type answer."""

    def stored(self) -> dict[str, Any]:
        """As they are kept and shown."""
        return self.model_dump(mode="json")

    def images(self) -> list[str]:
        """Images that run beside the instance's own."""
        return []

    def secrets(self) -> dict[str, Any]:
        """What is sealed; nothing where there is none."""
        return {}

    @classmethod
    def given(cls, stored: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
        """As they would be sent: what `stored` and `secrets` answered, put together again."""
        return {**stored, **secrets}


class PortSettings(In):
    """A port that instances listen on. It is reached inside the cluster's namespace by the cluster's name."""

    port: Port
    protocol: Literal["TCP", "UDP"] = "TCP"
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$")] | None = None


class EmptyVolume(In):
    """Scratch space that ends with the Pod. In memory it counts towards the instance's memory."""

    type: Literal["empty"]
    name: Name
    mount_path: MountPath
    size: Size | None = Field(None, description="Largest use in MiB, or a quantity; none: what the node has.")
    in_memory: bool = False


class PersistentVolume(In):
    """A disk of each instance's own, kept while the instance exists, whatever happens to what runs in it."""

    type: Literal["persistent"]
    name: Name
    mount_path: MountPath
    size: Size
    storage_class: StorageClass | None = Field(None, description="None: what the Kubernetes cluster takes by default.")
    read_only: bool = False


class HttpProbe(In):
    path: Annotated[str, Field(pattern=r"^/[\x21-\x7e]*$", max_length=1024)] = "/"
    port: Port


class Probe(In):
    """Exactly one of `http`, `tcp` and `command` says what is asked."""

    http: HttpProbe | None = None
    tcp: Port | None = None
    command: Words | None = None
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    interval_seconds: Seconds = 10
    timeout_seconds: Seconds = 1
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3

    @model_validator(mode="after")
    def _one_question(self) -> "Probe":
        if sum(way is not None for way in (self.http, self.tcp, self.command)) != 1:
            raise ValueError("a probe asks in exactly one way: http, tcp or command")
        return self


class Health(In):
    """Not ready: not counted as running. Not alive: its process is started again. Startup holds both back."""

    readiness: Probe | None = None
    liveness: Probe | None = Field(None, description="A container with one cannot be suspended.")
    startup: Probe | None = None


class RegistryAccount(Out):
    server: Annotated[str, Field(min_length=1, max_length=255, pattern=REGISTRY)]
    username: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_text)]


class RegistryLogin(RegistryAccount, In):
    """Credentials with which the image is pulled."""

    password: Annotated[str, Field(min_length=1, max_length=16_384), AfterValidator(_text)]


class _ContainerSettings(In):
    command: Words | None = Field(None, description="Instead of the image's entrypoint.")
    args: Annotated[list[Text], Field(max_length=64)] | None = Field(None, description="Instead of the image's own.")
    env: Environment = Field(default_factory=dict)
    working_dir: Path | None = None
    user: UserId | None = Field(None, description="The numeric user that the process runs as.")
    group: UserId | None = None
    capabilities: Annotated[list[Capability], Field(max_length=12)] | None = Field(
        None,
        description="Which of root's powers it has. None: for root those that images commonly need which begin as root "
        "(CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, SETGID, SETUID), for others none.",
    )
    ports: Annotated[list[PortSettings], Field(max_length=64)] = Field(default_factory=list)
    volumes: Annotated[
        list[Annotated[EmptyVolume | PersistentVolume, Field(discriminator="type")]], Field(max_length=16)
    ] = Field(default_factory=list)
    restart_policy: Literal["always", "on-failure", "never"] = Field(
        "always", description="What follows when the process ends; on-failure and never let it complete."
    )
    pull_policy: Pull | None = Field(None, description="None: always for :latest, else if-not-present.")
    health: Health | None = None

    @model_validator(mode="after")
    def _distinct(self) -> "_ContainerSettings":
        _unique([volume.name for volume in self.volumes], "volume")
        _unique([port.name for port in self.ports if port.name], "named port")
        paths = [volume.mount_path.rstrip("/") for volume in self.volumes]
        if len(paths) != len(set(paths)):
            raise ValueError("two volumes cannot be mounted at one path")
        if len({(port.port, port.protocol) for port in self.ports}) != len(self.ports):
            raise ValueError("a port is listed once")
        return self


class ContainerSettings(_ContainerSettings, Settings):
    secret_env: Environment = Field(default_factory=dict, description="Kept sealed, shown never; names are shown.")
    registry: RegistryLogin | None = None

    def stored(self) -> dict[str, Any]:
        plain = self.model_dump(mode="json", exclude={"secret_env", "registry"}) | {"runtime_class": None}
        return plain | {"secret_env": sorted(self.secret_env), "registry": _account(self.registry)}

    def secrets(self) -> dict[str, Any]:
        return _named(env=self.secret_env, registry=_password(self.registry))

    @classmethod
    def given(cls, stored: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
        plain = {name: value for name, value in stored.items() if name != "runtime_class"}
        return {**plain, "secret_env": secrets.get("env", {}), "registry": _login(stored, secrets)}

    @model_validator(mode="after")
    def _one_environment(self) -> "ContainerSettings":
        if set(self.env) & set(self.secret_env):
            raise ValueError("a name stands in env or in secret_env, not in both")
        return self


class ContainerSettingsRead(_ContainerSettings):
    runtime_class: str | None = Field(None, description="The RuntimeClass that its flavour names.")
    secret_env: list[str] = Field([], description="Names only.")
    registry: RegistryAccount | None = None


class Disk(In):
    """A further disk: `persistent` is kept while the instance exists, `empty` ends when the VM stops."""

    type: Literal["persistent", "empty"]
    name: Name
    size: Size
    storage_class: StorageClass | None = None


class RootDisk(In):
    """`image`: the image's disk, fresh at every start. `persistent`: a disk that is filled from the image once; this
    needs KubeVirt's Containerized Data Importer. `blank`: an empty persistent disk, for VMs that boot from a kernel.
    """

    type: Literal["image", "persistent", "blank"] = "image"
    size: Size | None = None
    storage_class: StorageClass | None = None

    @model_validator(mode="after")
    def _sized(self) -> "RootDisk":
        if (self.type == "image") != (self.size is None):
            raise ValueError("a persistent or blank root disk needs a size; an image's has its own")
        return self


class KernelBoot(In):
    """Boot this kernel from an image that holds it, instead of what the root disk begins with."""

    image: Image
    kernel_path: Path
    initrd_path: Path | None = None
    kernel_args: Annotated[str, Field(max_length=2048, pattern=r"^[\x20-\x7e]*$")] = ""


class CloudInit(In):
    """Given to the guest as a NoCloud disk, through a Secret."""

    user_data: Annotated[str, Field(min_length=1, max_length=262_144), AfterValidator(_text)] | None = None
    network_data: Annotated[str, Field(min_length=1, max_length=65_536), AfterValidator(_text)] | None = None


class _VmSettings(In):
    root_disk: RootDisk = Field(default_factory=RootDisk)
    kernel_boot: KernelBoot | None = None
    volumes: Annotated[list[Disk], Field(max_length=16)] = Field(default_factory=list)
    ssh_keys: Annotated[list[SshKey], Field(max_length=32)] = Field(
        default_factory=list,
        description="Public keys, given to the guest by cloud-init. The name of a key that you saved stands for it.",
    )
    preference: Name | None = Field(None, description="A VirtualMachineClusterPreference.")
    run_strategy: Literal["always", "rerun-on-failure", "once"] = Field(
        "always",
        description="What becomes of a guest that ended by itself. `always`: it is started again. `rerun-on-failure`: "
        "only if it failed. `once`: never. One that shut itself down is then stopped, with the reason `completed`.",
    )
    ports: Annotated[list[PortSettings], Field(max_length=64)] = Field(default_factory=list)
    pull_policy: Pull | None = None

    @model_validator(mode="after")
    def _distinct(self) -> "_VmSettings":
        names = [volume.name for volume in self.volumes]
        _unique(names, "volume")
        if set(names) & set(naming.RESERVED_DISKS):
            raise ValueError(f"these names are taken by disks that every VM has: {', '.join(naming.RESERVED_DISKS)}")
        return self


class VmSettings(_VmSettings, Settings):
    cloud_init: CloudInit | None = None
    registry: RegistryLogin | None = None

    def stored(self) -> dict[str, Any]:
        plain = self.model_dump(mode="json", exclude={"cloud_init", "registry"})
        given = self.cloud_init.model_dump(exclude_none=True) if self.cloud_init is not None else {}
        return plain | {"instancetype": None, "cloud_init": sorted(given), "registry": _account(self.registry)}

    def images(self) -> list[str]:
        return [self.kernel_boot.image] if self.kernel_boot is not None else []

    def secrets(self) -> dict[str, Any]:
        given = self.cloud_init.model_dump(exclude_none=True) if self.cloud_init is not None else {}
        return _named(cloud_init=given, registry=_password(self.registry))

    @classmethod
    def given(cls, stored: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
        plain = {name: value for name, value in stored.items() if name != "instancetype"}
        return {**plain, "cloud_init": secrets.get("cloud_init"), "registry": _login(stored, secrets)}


class VmSettingsRead(_VmSettings):
    instancetype: str | None = Field(None, description="The VirtualMachineClusterInstancetype that its flavour names.")
    cloud_init: list[str] = Field([], description="Which of user_data and network_data it has; never what they say.")
    registry: RegistryAccount | None = None


def _account(login: RegistryLogin | None) -> dict[str, str] | None:
    return None if login is None else {"server": login.server, "username": login.username}


def _login(stored: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, str] | None:
    account = stored.get("registry")
    return {**account, "password": secrets["registry"]} if account else None


def _password(login: RegistryLogin | None) -> str | None:
    return None if login is None else login.password


def _named(**secrets: Any) -> dict[str, Any]:
    return {name: value for name, value in secrets.items() if value}
