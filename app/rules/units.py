"""CPU and memory between people and the database: millicores and MiB inside, numbers or Kubernetes quantities outside.

Nothing is rounded: an amount that is not a whole number of millicores or MiB is refused.
"""

import re
from decimal import Decimal, InvalidOperation

MAX_MILLICORES = 1_024_000
MAX_MIB = 16 * 1024 * 1024
# A quota is about many machines.
MAX_QUOTA_MILLICORES = 1000 * MAX_MILLICORES
MAX_QUOTA_MIB = 1000 * MAX_MIB

_QUANTITY = re.compile(r"^([0-9]{1,12}(?:\.[0-9]{1,9})?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?$")
_BYTES = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
}  # fmt: skip
_MEASURED = re.compile(r"^([0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)(n|u|m|Ki|Mi|Gi|Ti|k|M|G|T|)$")
_SCALE = {"": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, **_BYTES}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|us|µs|ns|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def millicores(value: int | float | str, highest: int = MAX_MILLICORES) -> int:
    """Cores as a number or numeric text, or a quantity such as `500m`. ValueError says what is wrong."""
    amount, suffix = _split(value)
    if suffix not in ("", "m"):
        raise ValueError("CPU is a number of cores, such as 0.5, or a quantity, such as 500m")
    exact = amount if suffix == "m" else amount * 1000
    return _whole(exact, highest, f"CPU must be a whole number of millicores, from 1m to {highest // 1000} cores")


def mebibytes(value: int | float | str, highest: int = MAX_MIB) -> int:
    """MiB as a number or numeric text, or a quantity such as `4Gi`. ValueError says what is wrong."""
    amount, suffix = _split(value)
    if suffix == "m":
        raise ValueError("memory is a number of MiB, such as 512, or a quantity, such as 4Gi")
    exact = amount * _BYTES[suffix] / 2**20 if suffix else amount
    return _whole(exact, highest, f"memory must be a whole number of MiB, from 1Mi to {highest}Mi")


def cores(amount: int) -> float | int:
    """Millicores as a number of cores: whole where it is whole."""
    return amount // 1000 if amount % 1000 == 0 else amount / 1000


def measured(quantity: str) -> float:
    """A quantity as Kubernetes writes what it measured, such as 31250000n or 2048Ki, in cores or bytes."""
    match = _MEASURED.fullmatch(quantity)
    if match is None:
        raise ValueError("not a Kubernetes quantity")
    return float(match[1]) * _SCALE[match[2]]


def seconds(duration: str) -> float:
    """A duration as Go writes it, such as 1m0.5s."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


def _split(value: int | float | str) -> tuple[Decimal, str]:
    if isinstance(value, bool):
        raise ValueError("a number or a quantity is needed")
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ValueError("a number or a Kubernetes quantity is needed, such as 2, 500m or 4Gi")
        return Decimal(match[1]), match[2] or ""
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("a number or a quantity is needed") from error
    if not amount.is_finite():
        raise ValueError("a finite number is needed")
    return amount, ""


def _whole(exact: Decimal, highest: int, message: str) -> int:
    if not 0 < exact <= highest or exact != exact.to_integral_value():
        raise ValueError(message)
    return int(exact)
