"""The catalogue: flavours, images, and the policy beside them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.models import InstanceType
from app.rules import images, naming
from app.schemas.fields import Cpu, Image, In, Memory, Out, example

CatalogueName = Annotated[str, Field(min_length=1, max_length=63, pattern=naming.CATALOGUE_NAME_PATTERN)]
KubeVirtName = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,37}[a-z0-9])?$")]
RuntimeClassName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
# Shown to people, so no control characters.
Sentence = Annotated[str, Field(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]
Advice = Annotated[
    Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")] | None,
    Field(description="What to take instead. It can still be chosen, with this as a warning. null: not deprecated."),
]
Default = Annotated[
    bool, Field(description="Taken where none is named; at most one of each type, so another one ceases to be.")
]
Enabled = Annotated[bool, Field(description="Whether it can be chosen, and is shown to users.")]


def _allowed(pattern: str) -> str:
    if not images.is_pattern(pattern):
        raise ValueError("a pattern is *, registry.example/team/*, or an image reference")
    return pattern


AllowedImage = Annotated[
    str,
    Field(min_length=1, max_length=512, json_schema_extra={"pattern": images.ALLOWED_PATTERN}),
    AfterValidator(_allowed),
]


class _Change(In):
    """What is named changes; the rest stays."""

    def changes(self) -> dict[str, Any]:
        """By column. null takes a deprecation back, and elsewhere says nothing."""
        named = self.model_dump(exclude_unset=True)
        return {name: value for name, value in named.items() if value is not None or name == "deprecated"}


class FlavourCreate(In):
    """A size with a name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "small", "cpu": 1, "memory": "2Gi", "description": "To begin with."}]}
    )

    name: CatalogueName
    description: Sentence = ""
    instance_type: Annotated[InstanceType, Field(strict=False)] | None = Field(None, description="null: every type.")
    cpu: Cpu
    memory: Memory
    instancetype: KubeVirtName | None = Field(
        None, description="For VMs: the VirtualMachineClusterInstancetype that has just this size."
    )
    preference: KubeVirtName | None = Field(None, description="For VMs: a VirtualMachineClusterPreference.")
    runtime_class: RuntimeClassName | None = Field(
        None, description="For containers: the RuntimeClass that runs them, such as one of gVisor or Kata."
    )
    default: Default = False
    deprecated: Advice = None
    enabled: Enabled = True

    @model_validator(mode="after")
    def _fits_its_type(self) -> "FlavourCreate":
        if self.instance_type != InstanceType.VM and (self.instancetype or self.preference):
            raise ValueError("instancetype and preference are for flavours of type vm")
        if self.instance_type != InstanceType.CONTAINER and self.runtime_class:
            raise ValueError("runtime_class is for flavours of type container")
        return self


class FlavourChange(_Change):
    """What is named changes; the rest stays. A size never changes: make another flavour and deprecate this one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"deprecated": "Take medium; small goes in March."}, {"default": True}]}
    )

    description: Sentence | None = None
    default: Default | None = None
    deprecated: Advice = None
    enabled: Enabled | None = None


class ImageCreate(In):
    """An image with a name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "ubuntu-24.04",
                    "instance_type": "vm",
                    "reference": "registry.example/disks/ubuntu:24.04",
                    "default": True,
                }
            ]
        }
    )

    name: CatalogueName
    description: Sentence = ""
    instance_type: Annotated[InstanceType, Field(strict=False)]
    reference: Image
    default: Default = False
    deprecated: Advice = None
    enabled: Enabled = True


class ImageChange(_Change):
    """What is named changes; the rest stays. Clusters keep the reference that they were made with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reference": "registry.example/disks/ubuntu:24.04.2"}, {"enabled": False}]}
    )

    description: Sentence | None = None
    reference: Image | None = None
    default: Default | None = None
    deprecated: Advice = None
    enabled: Enabled | None = None


class PolicyChange(_Change):
    """What is named changes; the rest stays."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"custom_sizes": False, "allowed_images": ["registry.example/team/*"]}]}
    )

    custom_sizes: bool | None = None
    allowed_images: Annotated[list[AllowedImage], Field(max_length=200)] | None = None


_FLAVOUR: dict[str, Any] = {
    "name": "small",
    "description": "To begin with.",
    "instance_type": None,
    "cpu": 1,
    "memory": 2048,
    "instancetype": None,
    "preference": None,
    "runtime_class": None,
    "default": True,
    "deprecated": None,
    "enabled": True,
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:08.946424Z",
}
_IMAGE: dict[str, Any] = {
    "name": "ubuntu-24.04",
    "description": "",
    "instance_type": "vm",
    "reference": "registry.example/disks/ubuntu:24.04",
    "default": True,
    "deprecated": None,
    "enabled": True,
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:08.946424Z",
}


class FlavourRead(Out):
    model_config = example(_FLAVOUR)

    name: str
    description: str
    instance_type: InstanceType | None = Field(description="null: every type.")
    cpu: float = Field(description="Cores.")
    memory: int = Field(description="MiB.")
    instancetype: str | None
    preference: str | None
    runtime_class: str | None
    default: bool
    deprecated: str | None = Field(description="What to take instead.")
    enabled: bool
    created_at: datetime
    updated_at: datetime


class ImageRead(Out):
    model_config = example(_IMAGE)

    name: str
    description: str
    instance_type: InstanceType
    reference: str
    default: bool
    deprecated: str | None = Field(description="What to take instead.")
    enabled: bool
    created_at: datetime
    updated_at: datetime


class PolicyRead(Out):
    """What users may choose beside the catalogue."""

    model_config = example({"custom_sizes": True, "allowed_images": ["*"]})

    custom_sizes: bool = Field(description="Whether CPU and memory can be given instead of a flavour.")
    allowed_images: list[str] = Field(
        description="Images that can be given by reference: all (*), all below a prefix (registry.example/team/*), or "
        "one by one. With none, only the catalogue's."
    )
