"""Clusters: what is wished for, and what is shown of them."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from app.models import ClusterPhase, InstanceType
from app.schemas.catalogue import CatalogueName
from app.schemas.fields import ClusterName, Cpu, Ids, Image, In, Labels, Memory, Out, example
from app.schemas.instances import INSTANCE, InstanceRead
from app.schemas.operations import OPERATION, OperationRead
from app.schemas.workloads import ContainerSettings, ContainerSettingsRead, Settings, VmSettings, VmSettingsRead

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
    max_unavailable: int = Field(
        1, ge=1, le=3000, description="How many instances may be down while changed ones replace the others."
    )
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


class BulkDelete(In):
    """Clusters by id or name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["web", "lab"]}]})

    ids: Ids


_SUMMARY: dict[str, Any] = {
    "id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
    "name": "web",
    "namespace": "web-ns",
    "owner": "ada",
    "instance_type": "container",
    "cpu_per_instance": 0.5,
    "memory_per_instance": 512,
    "instance_count": 1,
    "ready_instances": 1,
    "image": "nginx:latest",
    "image_name": None,
    "flavour": None,
    "revision": 1,
    "max_unavailable": 1,
    "labels": {"team": "shop"},
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
    instance_type: InstanceType
    cpu_per_instance: float = Field(description="Cores.")
    memory_per_instance: int = Field(description="MiB.")
    instance_count: int
    ready_instances: int = Field(description="Instances that are as wished.")
    image: str = Field(description="Its reference, whatever the catalogue says of its name by now.")
    image_name: str | None = Field(description="The catalogue's name of it, where it was chosen by one.")
    flavour: str | None = Field(description="The catalogue's name of its size, where it was made from one.")
    revision: int = Field(description="Of image and settings; instances that run an older one are replaced in turn.")
    max_unavailable: int
    labels: dict[str, str]
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
        | {"instances": [INSTANCE], "operation": OPERATION}
    )

    container: ContainerSettingsRead | None = Field(description="For containers.")
    vm: VmSettingsRead | None = Field(description="For VMs.")
    instances: list[InstanceRead]
    operation: OperationRead | None = Field(description="The newest operation on the cluster that is still known.")
