"""Builds the pinned binaries of control plane and node from the Go module proxy into a cache outside the repository.

The versions stand in `testbed/go/*/go.mod`, nowhere else. A binary is built only when missing; nothing built is ever
committed. `directory()` says where a complete set is; it never builds.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed import Unavailable, cache, packages

_SOURCES = Path(__file__).parent / "go"
_TOOLCHAIN = "go1.26.8"
_HEARTBEAT = 30.0  # seconds between signs of life of a long compilation

CRDS = "kubevirt-crds.json"


@dataclass(frozen=True)
class Binary:
    """One command: `module` is the folder below testbed/go that pins it and `pin` the module whose version it has.

    What is our own source has no pin.
    """

    name: str
    module: str
    pin: str | None
    package: str

    @property
    def version(self) -> str:
        """As in go.mod, for example v1.36.3."""
        return pinned(self.module, self.pin) if self.pin else "ours"


@dataclass(frozen=True)
class Suite:
    """What is built and used together, kept in one folder for each state of its sources."""

    name: str
    command: str
    """That builds it."""
    binaries: tuple[Binary, ...]
    crds: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        return (*(binary.name for binary in self.binaries), *((CRDS,) if self.crds else ()))

    @property
    def modules(self) -> list[str]:
        return sorted({binary.module for binary in self.binaries} | ({"kubevirt"} if self.crds else set()))


def _kubernetes(name: str) -> Binary:
    return Binary(name, "kubernetes", "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}")


_CONTAINERD = "github.com/containerd/containerd/v2"
_HELM = "helm.sh/helm/v4"
_METRICS = "sigs.k8s.io/metrics-server"
_PLUGINS = "github.com/containernetworking/plugins"
_POLICIES = "github.com/cloudnativelabs/kube-router/v2"
_RUNC = "github.com/opencontainers/runc"


def _containerd(name: str) -> Binary:
    return Binary(name, "node", _CONTAINERD, f"{_CONTAINERD}/cmd/{name}")


def _plugin(path: str) -> Binary:
    return Binary(path.rpartition("/")[2], "node", _PLUGINS, f"{_PLUGINS}/plugins/{path}")


_KUBEVIRT = "kubevirt.io/kubevirt"


def _virt(name: str) -> Binary:
    return Binary(name, "virt", _KUBEVIRT, f"{_KUBEVIRT}/cmd/{name}")


CONTROL_PLANE = Suite(
    "control plane",
    "python -m testbed build",
    (
        _kubernetes("kubectl"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kube-controller-manager"),
        Binary("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
        Binary("kwok", "kwok", "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    ),
    crds=True,
)
NODE = Suite(
    "node",
    "python -m testbed build node",
    (
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        _containerd("containerd"),
        _containerd("containerd-shim-runc-v2"),
        _containerd("ctr"),
        _plugin("main/bridge"),
        _plugin("main/loopback"),
        _plugin("ipam/host-local"),
        _plugin("meta/portmap"),
        Binary("pause", "images", None, "./pause"),
        Binary("web", "images", None, "./web"),
    ),
)
METRICS = Suite(
    "metrics-server",
    "python -m testbed build node",
    (Binary("metrics-server", "metrics", _METRICS, f"{_METRICS}/cmd/metrics-server"),),
)
POLICIES = Suite(
    "kube-router",
    "python -m testbed build node",
    (Binary("kube-router", "policies", _POLICIES, f"{_POLICIES}/cmd/kube-router"),),
)
# Newer than Debian's, which cannot give Pods users of their own.
RUNC = Suite("runc", "python -m testbed build node", (Binary("runc", "runc", _RUNC, _RUNC),))
COMPOSE = Suite("Compose", "python -m testbed build", (Binary("compose-config", "compose", None, "."),))
HELM = Suite("Helm", "python -m testbed build", (Binary("helm", "helm", _HELM, f"{_HELM}/cmd/helm"),))
KUBEVIRT = Suite(
    "KubeVirt",
    "python -m testbed build kubevirt",
    (
        *(_virt(f"virt-{name}") for name in ("operator", "api", "controller", "exportproxy", "handler", "launcher")),
        *(_virt(f"virt-{name}") for name in ("launcher-monitor", "chroot", "probe", "freezer", "tail")),
        Binary("libvirt-hook-client", "virt", _KUBEVIRT, f"{_KUBEVIRT}/cmd/virt-launcher/libvirt-hook-client"),
        Binary("container-disk", "virt", _KUBEVIRT, "cmd/container-disk-v2alpha/main.c"),
    ),
)
# Of the collector's own parts, those that take traces and print them.
COLLECTOR = Suite(
    "OpenTelemetry collector",
    "python -m testbed build collector",
    (Binary("collector", "collector", "go.opentelemetry.io/collector/otelcol", "."),),
)
BINARIES = CONTROL_PLANE.binaries
FILES = CONTROL_PLANE.files


def directory(suite: Suite = CONTROL_PLANE) -> Path:
    """Where all of the suite is ready to use. Raises Unavailable, naming what is missing, when it is not."""
    folder = location(suite)
    if lacking := missing(folder, suite):
        way_on = "complete it or unset it" if "CMP_TESTBED_BIN" in os.environ else f"run `{suite.command}`"
        raise Unavailable(f"the {suite.name}'s binaries are not built ({', '.join(lacking)} in {folder}): {way_on}")
    return folder


def location(suite: Suite = CONTROL_PLANE) -> Path:
    """`$CMP_TESTBED_BIN`, which is only ever read, else the folder of the cache for exactly these sources."""
    if ready := os.environ.get("CMP_TESTBED_BIN"):
        return Path(ready).resolve()
    return cache.directory() / _sources_hash(suite) / "bin"


def missing(folder: Path, suite: Suite = CONTROL_PLANE) -> list[str]:
    return [name for name in suite.files if not (folder / name).is_file()]


def pinned(module: str, pin: str) -> str:
    text = (_SOURCES / module / "go.mod").read_text()
    found = re.search(rf"^(?:require|)\s*{re.escape(pin)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"testbed/go/{module}/go.mod does not require {pin}")
    return found[1]


def build(suite: Suite = CONTROL_PLANE) -> Path:
    """Build what is missing and return the folder. Raises Unavailable with the reason and the way on."""
    folder = location(suite)
    if not missing(folder, suite):
        return folder
    if "CMP_TESTBED_BIN" in os.environ:
        return directory(suite)
    toolchain = go_environment()
    with cache.locked(folder.parent):
        folder.mkdir(exist_ok=True)
        for binary in suite.binaries:
            if not (folder / binary.name).is_file():
                with _progress(f"{binary.name} {binary.version}"), _replacing(folder / binary.name) as target:
                    _compile(binary, target, toolchain)
        if suite.crds and not (folder / CRDS).is_file():
            with _progress("KubeVirt's CRDs"), _replacing(folder / CRDS) as target:
                _write_crds(target, toolchain)
    return folder


def source(binary: Binary) -> Path:
    """The folder of the module that it is built from. Raises Unavailable."""
    return _source_of(str(binary.pin), _SOURCES / binary.module, go_environment())


def go_environment() -> Mapping[str, str]:
    """The environment in which the Go of this machine builds correctly. Raises Unavailable when it has none."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Unavailable(
            f"Go is not installed: install Go 1.26 (or any from 1.21 on, which then fetches {_TOOLCHAIN})"
        )
    plain = {**os.environ, "PATH": f"{Path(go).parent}:{os.environ['PATH']}"}
    plain |= {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    answer = subprocess.run([go, "env", "GOVERSION"], env=plain, capture_output=True, text=True, check=False)
    numbers = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if version < (1, 21):
        found = answer.stdout.strip() or answer.stderr.strip()
        raise Unavailable(
            f"{go} is too old ({found}): install Go 1.26 (or any from 1.21 on, which fetches {_TOOLCHAIN})"
        )
    if version < (1, 26):
        return plain | {"GOTOOLCHAIN": _TOOLCHAIN}
    if version >= (1, 27):
        # With the new encoding/json the API server's /openapi/v2 comes out malformed.
        return plain | {"GOEXPERIMENT": "nojsonv2"}
    return plain


def _compile(binary: Binary, target: Path, toolchain: Mapping[str, str]) -> None:
    sources = _SOURCES / binary.module
    if binary.package.endswith(".c"):
        text = _source_of(str(binary.pin), sources, toolchain) / binary.package
        _run([*_c_compiler(), "-static", "-O2", "-s", "-o", str(target), str(text)], sources, toolchain)
        return
    argv = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", _ldflags(binary), "-o", str(target)]
    if binary.pin == _RUNC:
        _c_compiler()
        root = packages.unpacked("libseccomp-dev")
        found = ":".join(str(path) for path in root.glob("usr/lib/*/pkgconfig"))
        toolchain = {**toolchain, "CGO_ENABLED": "1", "PKG_CONFIG_SYSROOT_DIR": str(root), "PKG_CONFIG_PATH": found}
        argv += ["-tags", "seccomp,netgo,osusergo"]
    if binary.module == "virt":
        # Some of KubeVirt's commands speak to libvirt, which they look for when they start.
        _c_compiler()
        toolchain = {**toolchain, "CGO_ENABLED": "1"}
        argv += ["-tags", "netgo,osusergo,libvirt_dlopen"]
    _run([*argv, binary.package], sources, toolchain)


def _c_compiler() -> list[str]:
    if shutil.which("gcc") is None:
        raise Unavailable("KubeVirt needs a C compiler: install gcc and libc6-dev")
    return ["gcc"]


def _source_of(module: str, sources: Path, toolchain: Mapping[str, str]) -> Path:
    return Path(json.loads(_run(["go", "mod", "download", "-json", module], sources, toolchain))["Dir"])


def _ldflags(binary: Binary) -> str:
    """Stripped, and stamped with the version: an unstamped API server confuses its clients."""
    if binary.pin == _CONTAINERD:
        return f"-s -w -X {_CONTAINERD}/version.Version={binary.version}"
    if binary.pin == _RUNC:
        return "-s -w -extldflags -static"
    if binary.pin == _KUBEVIRT:
        return f"-s -w -X kubevirt.io/client-go/version.gitVersion={binary.version}"
    if binary.module != "kubernetes":
        return "-s -w"
    major, minor, _ = binary.version.removeprefix("v").split(".")
    values = {"gitVersion": binary.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]
    return " ".join(["-s -w", *stamps])


def _write_crds(target: Path, toolchain: Mapping[str, str]) -> None:
    """Compile KubeVirt's own definitions with testbed/go/kubevirt/crds.go, which says why, and keep its output."""
    sources = _SOURCES / "kubevirt"
    theirs = _source_of(_KUBEVIRT, sources, toolchain) / "pkg/virt-operator/resource/generate/components"
    laid_in = {str(sources / "components" / name): str(theirs / name) for name in _CRD_SOURCES}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as overlay:
        json.dump({"Replace": laid_in}, overlay)
        overlay.flush()
        target.write_text(_run(["go", "run", "-overlay", overlay.name, "."], sources, toolchain))


_CRD_SOURCES = ("crds.go", "validations_generated.go")


def _run(argv: Sequence[str], folder: Path, toolchain: Mapping[str, str]) -> str:
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            argv, cwd=folder, env=toolchain, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        try:
            _wait(process)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            raise Unavailable(f"`{' '.join(argv[:2])}` failed in {folder}:\n{errors.read()[-2000:]}")
        return output.read()


def _wait(process: "subprocess.Popen[bytes]") -> None:
    started = time.monotonic()
    while True:
        try:
            process.wait(_HEARTBEAT)
        except subprocess.TimeoutExpired:
            print(f"  … {time.monotonic() - started:4.0f} s", flush=True)
        else:
            return


@contextmanager
def _progress(what: str) -> Iterator[None]:
    started = time.monotonic()
    print(f"building {what}", flush=True)
    yield
    print(f"built {what} in {time.monotonic() - started:.0f} s", flush=True)


@contextmanager
def _replacing(final: Path) -> Iterator[Path]:
    """A path to write to that becomes `final` only when all went well."""
    draft = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        yield draft
        draft.rename(final)
    finally:
        draft.unlink(missing_ok=True)


def _sources_hash(suite: Suite) -> str:
    digest = hashlib.sha256()
    for module in suite.modules:
        for path in sorted((_SOURCES / module).rglob("*")):
            if path.is_file():
                digest.update(path.relative_to(_SOURCES).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]
