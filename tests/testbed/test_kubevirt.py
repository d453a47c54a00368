"""A deployed KubeVirt is kept for the next one to go on from; what cannot be gone on from is deployed anew."""

import os
import time
from pathlib import Path

import pytest

from testbed import Unavailable, build, kubevirt, node
from testbed.kubevirt import deployment


def test_another_set_of_binaries_has_another_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = deployment.saved()
    assert deployment.saved() == usual
    monkeypatch.setenv("CMP_TESTBED_BIN", str(tmp_path))
    assert deployment.saved() != usual


def test_another_state_of_the_testbed_has_another_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(deployment, "_TESTBED", tmp_path)
    (tmp_path / "some.py").write_text("a = 1")
    before = deployment.saved()
    (tmp_path / "some.py").write_text("a = 2")
    assert deployment.saved() != before


@pytest.mark.kubevirt
@pytest.mark.timeout(900)
def test_a_damaged_state_is_replaced_and_the_next_one_goes_on_from_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not os.environ.get("CMP_TEST_SLOW"):
        pytest.skip("it brings KubeVirt up three times, which takes minutes: set CMP_TEST_SLOW=1")
    try:
        node.available()
        kubevirt.available()
        build.directory()
    except Unavailable as reason:
        pytest.skip(str(reason))
    state = tmp_path / "state.tar.gz"
    state.write_bytes(b"damaged")
    monkeypatch.setattr(deployment, "saved", lambda: state)
    assert not _restored()
    assert f"does not come up from {state} and is deployed anew" in capsys.readouterr().out
    assert _restored()


def _restored() -> bool:
    began = time.monotonic()
    with kubevirt.running() as deployed:
        kind = "from its saved state" if deployed.restored else "anew"
        print(f"KubeVirt was there {kind} after {time.monotonic() - began:.0f} s")
        return deployed.restored
