"""Secrets at rest open with their key, for their row, unchanged; and in no other way."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import sealing
from app.rules.sealing import NoKey, Sealer

ONE, OTHER = bytes(32), bytes(range(32))


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_what_is_sealed_opens_for_its_row_only(plain: dict[str, str], row: str) -> None:
    sealer = Sealer([ONE])
    sealed = sealer.seal(plain, row)
    assert sealer.open(sealed, row) == plain
    with pytest.raises(NoKey):
        sealer.open(sealed, row + "x")
    with pytest.raises(NoKey):
        Sealer([OTHER]).open(sealed, row)


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    sealer = Sealer([ONE])
    sealed = [sealer.seal({"TOKEN": "s3cret"}, "row") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert all(b"s3cret" not in base64.b64decode(text.partition(".")[2]) for text in sealed)


def test_what_was_changed_does_not_open() -> None:
    sealer = Sealer([ONE])
    key_id, _, text = sealer.seal({"TOKEN": "s3cret"}, "row").partition(".")
    raw = bytearray(base64.b64decode(text))
    for position in (0, 12, len(raw) - 1):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(NoKey):
            sealer.open(f"{key_id}.{base64.b64encode(changed).decode()}", "row")


def test_keys_can_be_changed_without_losing_anything() -> None:
    earlier = Sealer([ONE]).seal({"A": "1"}, "row")
    both = Sealer([OTHER, ONE])
    assert both.open(earlier, "row") == {"A": "1"}
    assert Sealer([OTHER]).open(both.seal({"B": "2"}, "row"), "row") == {"B": "2"}


def test_without_a_key_nothing_is_sealed() -> None:
    assert not Sealer().ready
    with pytest.raises(NoKey):
        Sealer().seal({"A": "1"}, "row")


def test_keys_are_read_from_text() -> None:
    made = sealing.new_key()
    assert sealing.keys_of(f"{made},\n{base64.b64encode(ONE).decode()}") == [base64.b64decode(made), ONE]
    for wrong in ("short", "!" * 44, base64.b64encode(bytes(16)).decode()):
        with pytest.raises(ValueError, match="32 random bytes") as error:
            sealing.keys_of(wrong)
        assert wrong not in str(error.value)
