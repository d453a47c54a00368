"""Lifecycle, quota arithmetic, cursors, reasons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import InstanceOperation as Do
from app.models import InstanceStatus as Is
from app.models import Reason, Wanted
from app.rules import cursors, lifecycle, reasons
from app.rules.quota import DIMENSIONS, Account, Amounts

AMOUNTS = st.builds(Amounts, **{dimension: st.integers(0, 10**9) for dimension in DIMENSIONS})
JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4)


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        (Is.PENDING, {Do.STOP}),
        (Is.STARTING, {Do.STOP, Do.RESTART}),
        (Is.RUNNING, {Do.STOP, Do.SUSPEND, Do.RESTART}),
        (Is.STOPPING, {Do.START}),
        (Is.STOPPED, {Do.START}),
        (Is.SUSPENDING, {Do.STOP, Do.RESUME}),
        (Is.SUSPENDED, {Do.STOP, Do.RESUME, Do.RESTART}),
        (Is.FAILED, {Do.STOP, Do.RESTART}),
        (Is.DELETING, set()),
    ],
)
def test_what_is_possible_when(status: Is, allowed: set[Do]) -> None:
    assert set(lifecycle.allowed_operations(status, "freeze")) == allowed
    assert set(lifecycle.allowed_operations(status, None)) == allowed - {Do.SUSPEND}


def test_every_operation_has_its_transition() -> None:
    assert set(lifecycle.TRANSITIONS) == set(Do)


def test_as_wished() -> None:
    assert lifecycle.as_wished(Wanted.RUNNING, Is.RUNNING)
    assert not lifecycle.as_wished(Wanted.STOPPED, Is.STOPPING)
    assert not lifecycle.as_wished(Wanted.ABSENT, Is.DELETING)


@given(AMOUNTS, AMOUNTS)
def test_available_is_what_is_left_and_never_less_than_nothing(quota: Amounts, used: Amounts) -> None:
    available = Account(quota, used, "allocated").available
    for dimension in DIMENSIONS:
        left = getattr(quota, dimension) - getattr(used, dimension)
        assert getattr(available, dimension) == max(0, left)


@given(AMOUNTS, st.integers(0, 100))
def test_times_is_adding_up(amounts: Amounts, times: int) -> None:
    assert amounts * times + amounts == amounts * (times + 1)


@given(st.text(), st.lists(JSON, max_size=3))
def test_a_cursor_opens_for_its_own_list_only(scope: str, key: list[object]) -> None:
    sealed = cursors.seal(b"secret", scope, key)
    assert cursors.unseal(b"secret", scope, sealed) == key
    for secret, other in ((b"secret", scope + "x"), (b"another", scope)):
        with pytest.raises(ValueError, match="does not belong"):
            cursors.unseal(secret, other, sealed)


@given(st.text(max_size=80))
def test_no_other_text_is_a_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="does not belong"):
        cursors.unseal(b"secret", "scope", text)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_says_what_happened_and_what_to_do(reason: Reason) -> None:
    said = reasons.explain(reason, "the detail.")
    assert said is not None
    assert "(the detail)" in said
    assert len(reasons.explain(reason, "x" * 5000) or "") <= 1024
