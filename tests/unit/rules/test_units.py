"""CPU and memory between people and the database: exact, or refused."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import units


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1, 1000), (0.5, 500), (0.001, 1), ("2", 2000), ("500m", 500), ("0.25", 250), ("1.5", 1500), (1024, 1_024_000)],
)
def test_cpu(given: float | str, expected: int) -> None:
    assert units.millicores(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (512, 512),
        (512.0, 512),
        ("512", 512),
        ("4Gi", 4096),
        ("512Mi", 512),
        ("1Ti", 2**20),
        ("1024Ki", 1),
        ("0.5Gi", 512),
    ],
)
def test_memory(given: float | str, expected: int) -> None:
    assert units.mebibytes(given) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, 0.0005, 0.0015, 1e308, 5e-324, math.inf, -math.inf, math.nan, True, False, 10**400, 1025),
        "",
        "0",
        "0m",
        "-1",
        "+1",
        "1e3",
        " 1",
        "1 ",
        "1\n",
        "1M",
        "1Gi",
        "0x1",
        "1_0",
        "٣",
        ".5",
        "5.",
        "0.5m",
        "1" * 13,
    ],
)
def test_what_is_no_cpu(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        units.millicores(value)


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        0.5,
        1.5,
        2**24 + 1,
        math.inf,
        math.nan,
        True,
        "500m",
        "1G",
        "1K",
        "1KiB",
        "1gi",
        "0Gi",
        "1B",
        "17Ti",
        "1Ki",
        "",
    ],
)
def test_what_is_no_memory(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        units.mebibytes(value)


@given(st.integers(1, units.MAX_MILLICORES))
def test_millicores_survive_every_way_of_writing_them(amount: int) -> None:
    shown = units.cores(amount)
    assert units.millicores(shown) == amount
    assert units.millicores(f"{amount}m") == amount
    assert units.millicores(str(Decimal(amount) / 1000)) == amount
    assert isinstance(shown, int) == (amount % 1000 == 0)


@given(st.integers(1, units.MAX_MIB))
def test_mebibytes_survive_every_way_of_writing_them(amount: int) -> None:
    assert units.mebibytes(amount) == units.mebibytes(f"{amount}Mi") == units.mebibytes(f"{amount * 1024}Ki") == amount


@given(
    st.one_of(
        st.floats(), st.integers(), st.text(max_size=20), st.from_regex(r"[0-9.]{1,14}(m|[KMGT]i?)?", fullmatch=True)
    )
)
def test_an_amount_is_within_its_bounds_or_refused(value: float | str) -> None:
    for read, highest in ((units.millicores, units.MAX_MILLICORES), (units.mebibytes, units.MAX_MIB)):
        try:
            amount = read(value)
        except ValueError as error:
            assert not isinstance(value, str) or len(value) < 4 or value not in str(error)
        else:
            assert isinstance(amount, int)
            assert 0 < amount <= highest


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("31250000n", 0.03125),
        ("250u", 0.00025),
        ("12m", 0.012),
        ("2", 2),
        ("0", 0),
        ("2048Ki", 2**21),
        ("1500k", 1.5e6),
    ],
)
def test_what_kubernetes_measured(quantity: str, value: float) -> None:
    assert units.measured(quantity) == pytest.approx(value)


@pytest.mark.parametrize("quantity", ["", "n", "1x", "-1", "1 Ki"])
def test_what_is_no_quantity(quantity: str) -> None:
    with pytest.raises(ValueError):
        units.measured(quantity)


@pytest.mark.parametrize(("duration", "value"), [("15.2s", 15.2), ("1m0s", 60), ("1h2m3s", 3723), ("250ms", 0.25)])
def test_durations_as_go_writes_them(duration: str, value: float) -> None:
    assert units.seconds(duration) == pytest.approx(value)
