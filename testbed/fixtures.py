"""pytest plugin: the real servers as session fixtures, and last lines that say which of them the tests ran on.

Each xdist worker has servers of its own. What cannot be had is skipped with its reason, never silently.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from playwright.sync_api import Browser

from testbed import Unavailable, build, console, kubernetes, kubevirt
from testbed import browser as browsers
from testbed import node as nodes
from testbed.databases import DatabaseServer, MariaDB, MySQL, PostgreSQL
from testbed.provider import OpenIDProvider
from testbed.redis import Redis

_KEY = pytest.StashKey[dict[str, str]]()
_Server = TypeVar("_Server", bound=DatabaseServer)


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> Iterator[PostgreSQL]:
    yield from _database(pytestconfig, "PostgreSQL", PostgreSQL(fast=True))


@pytest.fixture(scope="session")
def mariadb(pytestconfig: pytest.Config) -> Iterator[MariaDB]:
    server = MariaDB(innodb_snapshot_isolation=False, fast=True)
    yield from _database(pytestconfig, "MariaDB, innodb_snapshot_isolation=OFF", server)


@pytest.fixture(scope="session")
def mariadb_snapshot_isolation(pytestconfig: pytest.Config) -> Iterator[MariaDB]:
    server = MariaDB(innodb_snapshot_isolation=True, fast=True)
    yield from _database(pytestconfig, "MariaDB, innodb_snapshot_isolation=ON", server)


@pytest.fixture(scope="session")
def mysql(pytestconfig: pytest.Config) -> Iterator[MySQL]:
    yield from _database(pytestconfig, "MySQL", MySQL(fast=True))


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[kubernetes.ControlPlane]:
    """Uses what is built already, unless CMP_TESTBED_BUILD=1 allows minutes of building."""
    name = "Kubernetes control plane"
    try:
        if os.environ.get("CMP_TESTBED_BUILD") == "1":
            build.build()
        plane = kubernetes.start()
    except Unavailable as reason:
        _skip(pytestconfig, name, reason)
    with plane:
        crds = build.pinned("kubevirt", "kubevirt.io/kubevirt")
        pytestconfig.stash[_KEY][name] = f"ran on {plane.api_version} with the CRDs of KubeVirt {crds}"
        yield plane


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config) -> Iterator[nodes.Node]:
    """A real node and, as `node.control_plane`, the control plane of its own that it belongs to."""
    name = "Kubernetes node"
    with ExitStack() as stack:
        try:
            if os.environ.get("CMP_TESTBED_BUILD") == "1":
                build.build()
                build.build(build.NODE)
            nodes.available()
            plane = stack.enter_context(kubernetes.start(real_node=True))
            started = stack.enter_context(nodes.start(plane))
        except Unavailable as reason:
            _skip(pytestconfig, name, reason)
        pytestconfig.stash[_KEY][name] = f"ran on kubelet {plane.api_version} with {started.runtime}"
        yield started


@pytest.fixture(scope="session")
def virtual(pytestconfig: pytest.Config) -> Iterator[kubevirt.KubeVirt]:
    """A real node of its own with a real KubeVirt on it, as `virtual.node`."""
    name = "KubeVirt"
    with ExitStack() as stack:
        try:
            if os.environ.get("CMP_TESTBED_BUILD") == "1":
                for suite in (build.CONTROL_PLANE, build.NODE, build.KUBEVIRT):
                    build.build(suite)
            nodes.available()
            kubevirt.available()
            began = time.monotonic()
            deployed = stack.enter_context(kubevirt.running())
        except Unavailable as reason:
            _skip(pytestconfig, name, reason)
        how = f"{'from its saved state' if deployed.restored else 'deployed anew'} in {time.monotonic() - began:.0f} s"
        kubelet = deployed.node.control_plane.api_version
        pytestconfig.stash[_KEY][name] = f"ran on KubeVirt {deployed.version} on kubelet {kubelet}, {how}"
        yield deployed


@pytest.fixture(scope="session")
def redis(pytestconfig: pytest.Config) -> Iterator[Redis]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(Redis())
        except Unavailable as reason:
            _skip(pytestconfig, "Redis", reason)
        pytestconfig.stash[_KEY]["Redis"] = f"ran on {server.version}"
        yield server


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """For one module: while it is open, no test of its thread can have an event loop of its own."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(browsers.running())
        except Unavailable as reason:
            _skip(pytestconfig, "Chromium", reason)
        pytestconfig.stash[_KEY]["Chromium"] = f"ran on {opened.version}"
        yield opened


@pytest.fixture(scope="session")
def console_dir(pytestconfig: pytest.Config) -> Path:
    """The built console."""
    try:
        return console.built()
    except Unavailable as reason:
        _skip(pytestconfig, "Console", reason)


@pytest.fixture(scope="session")
def openid_provider(pytestconfig: pytest.Config) -> Iterator[Callable[[str, str], OpenIDProvider]]:
    """Start one for a redirect URI and a secret; all end with the session."""
    name = "OpenID Connect provider"
    with ExitStack() as stack:

        def start(redirect_uri: str, secret: str) -> OpenIDProvider:
            try:
                started = stack.enter_context(OpenIDProvider(redirect_uri, secret))
            except Unavailable as reason:
                _skip(pytestconfig, name, reason)
            pytestconfig.stash[_KEY][name] = f"ran on oidc-provider {started.version}"
            return started

        yield start


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = {}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """An xdist worker has finished: take over what it noted."""
    node.config.stash[_KEY].update(getattr(node, "workeroutput", {}).get("testbed", {}))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    notes = session.config.stash[_KEY]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["testbed"] = notes
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal and notes:
        terminal.section("real servers")
        for name, outcome in sorted(notes.items()):
            terminal.write_line(f"{name}: {outcome}")


def _database(config: pytest.Config, name: str, server: _Server) -> Iterator[_Server]:
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except Unavailable as reason:
            _skip(config, name, reason)
        config.stash[_KEY][name] = f"ran on {server.version}"
        yield server


def _skip(config: pytest.Config, name: str, reason: Unavailable) -> NoReturn:
    config.stash[_KEY][name] = f"SKIPPED, {reason}"
    pytest.skip(str(reason))
