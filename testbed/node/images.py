"""The node's images, made by hand: an OCI layout that the node's registry serves. Needs no registry and no builder.

Every image is one layer: one or two static programs, or a folder with the Python of Debian's packages. The formats are
those of https://github.com/opencontainers/image-spec
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed import packages

BUSYBOX = "testbed/busybox:1"
PAUSE = "testbed/pause:1"
WEB = "testbed/web:1"
CRASHING = "testbed/crashing:1"
HUNGRY = "testbed/hungry:1"
BROKEN = "testbed/broken:1"
# CMP's node agent, as deploy/kubernetes/node-agent.Dockerfile describes it.
AGENT = "testbed/node-agent:1"
# Only for whoever logs in.
PRIVATE = "registry.example/private/web:1"
LOGIN = ("puller", "let me in")
# What CMP starts when it is not told otherwise. It is not nginx: it is our web server under that name.
DEFAULT = "nginx:latest"

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


_ROOT = Path(__file__).parents[2]
_PACKAGES = "usr/lib/python3/dist-packages/agent"
_SHELL = ("sh", "cat", "cp", "env", "id", "kill", "ls", "ps", "sleep", "tar", "touch", "wget")


@dataclass(frozen=True)
class _Image:
    files: Mapping[str, Path]
    entrypoint: Sequence[str]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)


def write(folder: Path, binaries: Path) -> None:
    """All of them, as `<folder>/blobs/sha256-…` and `<folder>/tags.json`: {"library/nginx": {"latest": "sha256:…"}}.

    Raises Unavailable when a package of Debian's cannot be had.
    """
    blobs = folder / "blobs"
    blobs.mkdir(parents=True)
    tags: dict[str, dict[str, str]] = {}
    for name, image in _images(binaries).items():
        repository, _, tag = name.removeprefix("registry.example/").rpartition(":")
        tags.setdefault(repository if "/" in repository else f"library/{repository}", {})[tag] = _write(blobs, image)
    (folder / "tags.json").write_text(json.dumps(tags))


def _images(binaries: Path) -> Mapping[str, _Image]:
    busybox = packages.unpacked("busybox-static") / "bin/busybox"
    web = {"web": binaries / "web"}
    shell = {f"bin/{name}": "busybox" for name in _SHELL}
    python = packages.unpacked("python3", "trixie")
    system = {"usr/bin": python / "usr/bin", "usr/lib": python / "usr/lib", "usr/lib64": python / "usr/lib64"}
    merged = {name: f"usr/{name}" for name in ("bin", "lib", "lib64")}
    return {
        PAUSE: _Image({"pause": binaries / "pause"}, ["/pause"]),
        BUSYBOX: _Image({"bin/busybox": busybox}, ["/bin/busybox"], shell),
        WEB: _Image({**web, "bin/busybox": busybox}, ["/web"], shell),
        DEFAULT: _Image({**web, "bin/busybox": busybox}, ["/web"], shell),
        PRIVATE: _Image({**web, "bin/busybox": busybox}, ["/web"], shell),
        CRASHING: _Image(web, ["/web", "crash"]),
        HUNGRY: _Image(web, ["/web", "eat"]),
        BROKEN: _Image(web, ["/no-such-program"]),
        AGENT: _Image({}, ["/usr/bin/python3", "-m", "agent"], merged, {**system, _PACKAGES: _ROOT / "agent"}),
    }


def _write(blobs: Path, image: _Image) -> str:
    """The digest of its manifest."""
    layer = _put(blobs, _layer(image))
    system = {"os": "linux", "architecture": _ARCHITECTURES[platform.machine()]}
    run = {"Entrypoint": list(image.entrypoint), "Env": ["PATH=/bin"]}
    configuration = {**system, "config": run, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    config = _put(blobs, json.dumps(configuration).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, **config},
        "layers": [{"mediaType": _LAYER, **layer}],
    }
    return str(_put(blobs, json.dumps(manifest).encode())["digest"])


def _layer(image: _Image) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in sorted({"bin", "etc", "tmp"} - image.links.keys()):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name, path in image.files.items():
            program = tarfile.TarInfo(name)
            program.size, program.mode = path.stat().st_size, 0o755
            with path.open("rb") as source:
                tar.addfile(program, source)
        for name, path in image.folders.items():
            tar.add(path, name, filter=_roots)
        for name, target in image.links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return content.getvalue()


def _roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.mtime = 0
    return entry


def _put(blobs: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / f"sha256-{digest}").write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}
