"""Where no real node can run, the reason and the way on are named; nothing is tried."""

import os
from pathlib import Path

import pytest

from testbed import Unavailable, build
from testbed import node as nodes


def test_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(Unavailable, match="a real node needs root"):
        nodes.available()


def test_tools_are_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        Unavailable, match=r"needs ip, mount, nsenter, setpriv, unshare \(packages util-linux, iproute2\)"
    ):
        nodes.available()


def test_an_empty_cache_says_how_to_fill_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CMP_TESTBED_BIN", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        Unavailable, match=r"the node's binaries are not built \(kubelet, .*python -m testbed build node"
    ):
        build.directory(build.NODE)
