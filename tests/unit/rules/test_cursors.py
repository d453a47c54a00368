"""Cursors open where they were sealed, and nowhere else."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import cursors

_SECRET = b"s" * 32
_keys = st.lists(st.text(max_size=60), max_size=3)


@given(_keys, st.text(max_size=200))
def test_what_was_sealed_comes_back(key: list[Any], scope: str) -> None:
    scope = scope.encode("utf-8", "replace").decode()
    assert cursors.unseal(_SECRET, scope, cursors.seal(_SECRET, scope, key)) == key


@given(_keys, st.integers(0, 500), st.integers(1, 255))
def test_a_changed_cursor_is_refused(key: list[Any], at: int, by: int) -> None:
    sealed = cursors.seal(_SECRET, "scope", key)
    raw = bytearray(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)))
    raw[at % len(raw)] ^= by
    with pytest.raises(ValueError, match="does not belong to this list"):
        cursors.unseal(_SECRET, "scope", base64.urlsafe_b64encode(bytes(raw)).decode())


@given(st.text(max_size=100))
def test_text_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="does not belong to this list"):
        cursors.unseal(_SECRET, "scope", text)


def test_another_scope_or_secret_opens_nothing() -> None:
    sealed = cursors.seal(_SECRET, "clusters ada", ["x"])
    for secret, scope in ((_SECRET, "clusters bob"), (_SECRET, "instances ada"), (b"t" * 32, "clusters ada")):
        with pytest.raises(ValueError, match="start again"):
            cursors.unseal(secret, scope, sealed)
    with pytest.raises(ValueError, match="start again"):
        cursors.unseal(_SECRET, "scope", cursors.seal(_SECRET, "scope", {"not": "a list"}))  # type: ignore[arg-type]
