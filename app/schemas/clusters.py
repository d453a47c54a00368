"""Clusters: what is wished for, and what is shown of them."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import AliasChoices, ConfigDict, Field, model_validator

from app.models import ClusterPhase, InstanceType
from app.rules.access import Access, ClusterAction
from app.schemas.catalogue import CatalogueName
from app.schemas.fields import (
    ClusterName,
    Cpu,
    Ids,
    Image,
    In,
    LabelChanges,
    Labels,
    Memory,
    Out,
    example,
)
from app.schemas.instances import INSTANCE, InstanceRead
from app.schemas.operations import OPERATION, OperationRead
from app.schemas.workloads import ContainerSettings, ContainerSettingsRead, Settings, VmSettings, VmSettingsRead

SettingsPatch = Annotated[dict[str, Any], Field(json_schema_extra={"additionalProperties": True})]
MaxUnavailable = Annotated[
    int, Field(ge=1, le=3000, description="How many instances may be down at a time while a change goes round.")
]
SETTINGS = {
    InstanceType.CONTAINER: "container",
    InstanceType.VM: "vm",
}
DEFAULTS: dict[InstanceType, Settings] = {
    InstanceType.CONTAINER: ContainerSettings(),
    InstanceType.VM: VmSettings(),
}


class ClusterCreate(In):
    """A cluster to be: so many equal instances."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "web",
                    "instance_type": "container",
                    "cpu_per_instance": 0.5,
                    "memory_per_instance": 512,
                    "instance_count": 3,
                    "image": "nginx:latest",
                },
                {
                    "name": "lab",
                    "instance_type": "vm",
                    "cpu_per_instance": 1,
                    "memory_per_instance": "1Gi",
                    "instance_count": 1,
                },
                {"name": "lab", "instance_type": "vm", "flavour": "small", "image": "ubuntu-24.04"},
            ]
        }
    )

    name: ClusterName
    instance_type: Annotated[InstanceType, Field(strict=False)]
    flavour: CatalogueName | None = Field(
        None, description="The size, by a name of the catalogue; without it and a size, the catalogue's default."
    )
    cpu_per_instance: Cpu | None = Field(None, validation_alias=AliasChoices("cpu_per_instance", "cpu_per_inst"))
    memory_per_instance: Memory | None = Field(
        None, validation_alias=AliasChoices("memory_per_instance", "memory_per_inst")
    )
    instance_count: int = Field(1, ge=1, le=3000)
    image: Image | None = Field(
        None,
        description="A name of the catalogue, or a reference: of a container image, or of a containerDisk image for "
        "VMs. A name that the catalogue has means the catalogue's.",
    )
    labels: Labels = Field(default_factory=dict)
    max_unavailable: MaxUnavailable = 1
    container: ContainerSettings | None = Field(None, description="For containers: what runs in each, and how.")
    vm: VmSettings | None = Field(None, description="For VMs: disks, boot, cloud-init.")

    @model_validator(mode="after")
    def _fits_its_type(self) -> "ClusterCreate":
        for instance_type, name in SETTINGS.items():
            if instance_type != self.instance_type and getattr(self, name) is not None:
                raise ValueError(f"`{name}` is for instances of type {instance_type}")
        self._has_one_size()
        return self

    def _has_one_size(self) -> None:
        sizes = (self.cpu_per_instance, self.memory_per_instance)
        if self.flavour is not None and sizes != (None, None):
            raise ValueError("a size is a flavour, or cpu_per_instance and memory_per_instance: not both")
        if None in sizes and sizes != (None, None):
            raise ValueError("cpu_per_instance and memory_per_instance go together")

    def settings(self) -> Settings | None:
        """Those of its type, defaults where none were given; None where the type has none."""
        name = SETTINGS.get(self.instance_type)
        if name is None:
            return None
        given: Settings | None = getattr(self, name)
        return given or DEFAULTS[self.instance_type]


class ClusterChange(In):
    """What is to be different; what is left out stays.

    `container`, `vm` and `labels` are JSON merge patches (RFC 7396) of what is there: null takes away.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"image": "nginx:1.29"},
                {"cpu_per_instance": 1, "memory_per_instance": "1Gi"},
                {"container": {"env": {"GREETING": "hello", "OLD": None}}, "max_unavailable": 2},
            ]
        }
    )

    flavour: CatalogueName | None = Field(None, description="The new size, by a name of the catalogue.")
    cpu_per_instance: Cpu | None = Field(None, description="Cores; without it what they have.")
    memory_per_instance: Memory | None = Field(None, description="MiB, likewise.")
    image: Image | None = Field(None, description="A name of the catalogue, or a reference.")
    labels: LabelChanges | None = Field(None, description="By key; null takes one away.")
    max_unavailable: MaxUnavailable | None = None
    container: SettingsPatch | None = Field(None, description="For containers: a merge patch of its settings.")
    vm: SettingsPatch | None = Field(None, description="For VMs, likewise.")

    @model_validator(mode="after")
    def _says_something(self) -> "ClusterChange":
        if not self.model_fields_set or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("say what is to be different, and leave out what is to stay")
        if self.flavour is not None and (self.cpu_per_instance, self.memory_per_instance) != (None, None):
            raise ValueError("a size is a flavour, or cpu_per_instance and memory_per_instance: not both")
        return self

    def settings(
        self, instance_type: InstanceType, stored: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> Settings | None:
        """Those that the cluster is to have; None where they stay. ValueError where they do not fit."""
        given = {name: getattr(self, name, None) for name in SETTINGS.values()}
        patch = given.pop(SETTINGS.get(instance_type, ""), None)
        if any(other is not None for other in given.values()):
            raise ValueError(f"the cluster's instances are of type {instance_type}: only their own settings can change")
        if patch is None:
            return None
        defaults = DEFAULTS[instance_type]
        whole = defaults.given({**defaults.stored(), **stored}, secrets)
        return type(defaults).model_validate_json(orjson.dumps(merged(whole, patch)))


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


class ClusterScale(In):
    """How many instances there are to be, or which ones are to go."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instance_count": 5}, {"remove": ["web-instance-2"]}]})

    instance_count: int | None = Field(None, ge=1, le=3000)
    remove: Ids | None = Field(None, description="Instances by id or name; without it the highest numbers go.")

    @model_validator(mode="after")
    def _says_something(self) -> "ClusterScale":
        if self.instance_count is None and self.remove is None:
            raise ValueError("give `instance_count`, or `remove`")
        return self


class BulkDelete(In):
    """Clusters by id or name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["web", "lab"]}]})

    ids: Ids


_SUMMARY: dict[str, Any] = {
    "id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
    "name": "web",
    "namespace": "web-ns",
    "owner": "ada",
    "access": "owner",
    "instance_type": "container",
    "cpu_per_instance": 0.5,
    "memory_per_instance": 512,
    "instance_count": 1,
    "ready_instances": 1,
    "image": "nginx:latest",
    "image_name": None,
    "flavour": None,
    "labels": {"team": "shop"},
    "max_unavailable": 1,
    "phase": "running",
    "reason": None,
    "message": None,
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:09.503405Z",
}


class ClusterSummary(Out):
    """A cluster as lists show it."""

    model_config = example(_SUMMARY)

    id: uuid.UUID
    name: str
    namespace: str
    owner: str
    access: Access = Field(description="What you are to it; role: your role looks after everybody's.")
    instance_type: InstanceType
    cpu_per_instance: float = Field(description="Cores.")
    memory_per_instance: int = Field(description="MiB.")
    instance_count: int
    ready_instances: int = Field(description="Instances that are as wished.")
    image: str = Field(description="Its reference, whatever the catalogue says of its name by now.")
    image_name: str | None = Field(description="The catalogue's name of it, where it was chosen by one.")
    flavour: str | None = Field(description="The catalogue's name of its size, where it was made from one.")
    labels: dict[str, str]
    max_unavailable: int = Field(description="How many may be down at a time while a change goes round.")
    phase: ClusterPhase
    reason: str | None
    message: str | None
    created_at: datetime
    updated_at: datetime


class ClusterRead(ClusterSummary):
    model_config = example(
        _SUMMARY
        | dict.fromkeys(SETTINGS.values())
        | {"container": ContainerSettings().stored()}
        | {"allowed_actions": ["operate", "change", "scale", "share", "transfer", "delete"]}
        | {"instances": [INSTANCE], "operation": OPERATION}
    )

    container: ContainerSettingsRead | None = Field(description="For containers.")
    vm: VmSettingsRead | None = Field(description="For VMs.")
    allowed_actions: list[ClusterAction] = Field(description="What you may do with it now.")
    instances: list[InstanceRead]
    operation: OperationRead | None = Field(description="The newest operation on the cluster that is still known.")
