"""The types that fields are made of: names, sizes, references; and what every body has in common.

Input is strict: unknown fields, numbers dressed as text and control characters are refused.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.rules import images, naming, units
from app.rules.quota import DIMENSIONS

MAX_COUNT = 1_000_000
# A container runtime needs about 6 MiB before the process itself begins.
LEAST_MIB = 8


class In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Out(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]})


def amounts(**named: float) -> dict[str, float]:
    """Of every kind of quota, as an example: none of what is not named."""
    return dict.fromkeys(DIMENSIONS, 0) | named


def _not_reserved(name: str) -> str:
    if naming.reserved(name):
        raise ValueError("names that begin with kube- belong to Kubernetes")
    return not_an_id(name)


def not_an_id(name: str) -> str:
    if naming.reads_as_id(name):
        raise ValueError("a name that reads as an id would be taken for one")
    return name


def _free_username(name: str) -> str:
    if name in naming.RESERVED_USERNAMES:
        raise ValueError("this name stands for whoever asks")
    return not_an_id(name)


def _image(reference: str) -> str:
    if not images.is_reference(reference):
        raise ValueError("an image reference is needed, such as nginx:1.29 or registry.example/team/app@sha256:…")
    return reference


def _cpu_schema(lowest: float, highest: int, description: str) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "number", "minimum": lowest, "maximum": highest // 1000, "multipleOf": 0.001},
            {"type": "string", "pattern": r"^[1-9][0-9]{0,5}m$"},
        ],
        "description": description,
        "examples": [0.5, "500m"],
    }


def _memory_schema(lowest: int, highest: int, description: str) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "integer", "minimum": lowest, "maximum": highest},
            {"type": "string", "pattern": r"^([1-9][0-9]{1,6}Mi|[1-9][0-9]{0,3}Gi)$"},
        ],
        "description": description,
        "examples": [512, "4Gi"],
    }


def _enough_memory(value: Any) -> int:
    amount = units.mebibytes(value)
    if amount < LEAST_MIB:
        raise ValueError(f"memory is at least {LEAST_MIB} MiB: with less, nothing starts")
    return amount


Cpu = Annotated[
    int,
    BeforeValidator(units.millicores),
    WithJsonSchema(
        _cpu_schema(0.001, units.MAX_MILLICORES, "Cores, such as 0.5, or a quantity, such as 500m."), mode="validation"
    ),
]
Memory = Annotated[
    int,
    BeforeValidator(_enough_memory),
    WithJsonSchema(
        _memory_schema(LEAST_MIB, units.MAX_MIB, "MiB, such as 512, or a quantity, such as 4Gi."), mode="validation"
    ),
]
ClusterName = Annotated[
    str, Field(min_length=1, max_length=naming.NAME_MAX, pattern=naming.NAME_PATTERN), AfterValidator(_not_reserved)
]
Username = Annotated[
    str,
    Field(min_length=1, max_length=naming.USERNAME_MAX, pattern=naming.USERNAME_PATTERN),
    AfterValidator(_free_username),
]
TokenName = Annotated[str, Field(min_length=1, max_length=63, pattern=naming.USERNAME_PATTERN)]
Image = Annotated[
    str,
    Field(min_length=1, max_length=512, json_schema_extra={"pattern": images.REFERENCE_PATTERN}),
    AfterValidator(_image),
]
LabelKey = Annotated[str, Field(min_length=1, max_length=63, pattern=naming.LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, Field(max_length=63, pattern=naming.LABEL_VALUE_PATTERN)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=32, json_schema_extra={"additionalProperties": False})]
LabelChanges = Annotated[
    dict[LabelKey, LabelValue | None], Field(max_length=64, json_schema_extra={"additionalProperties": False})
]
Limit = Annotated[int, Field(ge=0, le=MAX_COUNT)]


def _limit_cpu(value: Any) -> int:
    return 0 if _is_zero(value) else units.millicores(value, units.MAX_QUOTA_MILLICORES)


def _limit_memory(value: Any) -> int:
    return 0 if _is_zero(value) else units.mebibytes(value, units.MAX_QUOTA_MIB)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


LimitCpu = Annotated[
    int,
    BeforeValidator(_limit_cpu),
    WithJsonSchema(_cpu_schema(0, units.MAX_QUOTA_MILLICORES, "Cores, or a quantity such as 500m."), mode="validation"),
]
LimitMemory = Annotated[
    int,
    BeforeValidator(_limit_memory),
    WithJsonSchema(_memory_schema(0, units.MAX_QUOTA_MIB, "MiB, or a quantity such as 64Gi."), mode="validation"),
]

Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=120)]], Field(min_length=1, max_length=500)]
