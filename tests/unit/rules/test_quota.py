"""Amounts and accounts."""

from hypothesis import given
from hypothesis import strategies as st

from app.rules.quota import DIMENSIONS, Account, Amounts, account_of

amounts = st.builds(Amounts, *(st.integers(0, 10**12) for _ in DIMENSIONS))


@given(amounts, amounts, st.integers(0, 3000))
def test_amounts_add_and_multiply_in_each_dimension(one: Amounts, two: Amounts, times: int) -> None:
    for dimension in DIMENSIONS:
        a, b = (amount.as_dict()[dimension] for amount in (one, two))
        assert (one + two).as_dict()[dimension] == a + b
        assert (one * times).as_dict()[dimension] == a * times
    assert bool(one) == (one != Amounts())


@given(amounts, amounts)
def test_what_is_available_is_never_below_zero(quota: Amounts, used: Amounts) -> None:
    available = Account(quota, used, "allocated").available.as_dict()
    for dimension, left in available.items():
        assert left == max(0, quota.as_dict()[dimension] - used.as_dict()[dimension])


@given(amounts, amounts)
def test_an_account_is_read_from_its_row(quota: Amounts, used: Amounts) -> None:
    row: dict[str, object] = {"quota_strategy": "running", "username": "ada"}
    row |= {f"quota_{d}": n for d, n in quota.as_dict().items()} | {f"used_{d}": n for d, n in used.as_dict().items()}
    assert account_of(row) == Account(quota, used, "running")
