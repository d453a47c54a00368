"""Kubernetes quantities ("500m", "4Gi", "1e3") as exact numbers and back.

Source: k8s.io/apimachinery pkg/api/resource.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

PATTERN = re.compile(r"^([+-]?[0-9.]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$")
FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")
DECIMAL = ("E", "P", "T", "G", "M", "k")


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Decimal:
    """The number in base units (cores, bytes, count). ValueError when it is no quantity."""
    found = PATTERN.match(str(text))
    if not found:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = found.groups()
    try:
        if not suffix:
            return Decimal(number)
        if suffix[0] in "eE" and len(suffix) > 1 and suffix[1] != "i":
            return Decimal(number + suffix)
        return Decimal(number) * FACTORS[suffix]
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a quantity") from None


def is_quantity(text: object) -> bool:
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        return False
    try:
        parse(text)
    except ValueError:
        return False
    return True


def render(value: Decimal, like: str = "") -> str:
    """Canonical text. Binary suffixes are used when `like`, a quantity already written, uses them."""
    if value == 0:
        return "0"
    if like.endswith("i"):
        for suffix in BINARY:
            if value % FACTORS[suffix] == 0:
                return f"{int(value / FACTORS[suffix])}{suffix}"
    if value != value.to_integral_value():
        return f"{int(value * 1000)}m"
    for suffix in DECIMAL:
        if value % FACTORS[suffix] == 0:
            return f"{int(value / FACTORS[suffix])}{suffix}"
    return str(int(value))


def canonical(text: str | int | float) -> str:
    """The form in which an API server answers a quantity: "1000m" becomes "1", "1024Mi" becomes "1Gi"."""
    return render(parse(text), str(text))
