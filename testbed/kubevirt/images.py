"""KubeVirt's images and its guest's, made by hand once and kept in the cache; the node's registry serves them."""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed import build, cache
from testbed.kubevirt import debian, guest
from testbed.node import images as node_images

REGISTRY = "testbed"
GUEST_KERNEL = "testbed/guest-kernel:1"
GUEST_DISK = "testbed/guest-disk:1"
# What CMP boots when it is not told otherwise. It is not Cirros: it is our guest under that name.
DEFAULT = "kubevirt/cirros-container-disk-demo:latest"

_STATIC = ("virt-operator", "virt-api", "virt-controller", "virt-exportproxy")
_HANDLER = ("virt-handler", "virt-chroot")
_LAUNCHER = (
    "virt-launcher",
    "virt-launcher-monitor",
    "virt-probe",
    "virt-freezer",
    "virt-tail",
    "container-disk",
    "libvirt-hook-client",
)
_QEMU = 107
# struct vfs_cap_data of linux/capability.h: revision 2, effective, CAP_NET_BIND_SERVICE.
_NET_BIND_SERVICE = "\x01\x00\x00\x02\x00\x04\x00\x00" + "\x00" * 12


def prepared() -> Path:
    """A folder of blobs and `tags.json`, as the node's registry serves them; made when it is not there yet.

    Raises Unavailable when binaries are not built or Debian's packages cannot be had.
    """
    binaries = build.directory(build.KUBEVIRT)
    folder = cache.directory() / f"kubevirt-images-{_state(binaries)}"
    with cache.locked(cache.directory() / "kubevirt-images"):
        if not folder.is_dir():
            draft = Path(tempfile.mkdtemp(dir=cache.directory(), prefix=".images-"))
            _write(draft, binaries)
            draft.rename(folder)
    return folder


def lend(folder: Path) -> None:
    """Add them to what a node's registry serves from `folder`, without copying."""
    ready = prepared()
    for blob in (ready / "blobs").iterdir():
        target = folder / "blobs" / blob.name
        if not target.exists():
            target.symlink_to(blob)
    node_images.tag(folder, json.loads((ready / "names.json").read_text()))


def version() -> str:
    return build.pinned("virt", "kubevirt.io/kubevirt")


def _state(binaries: Path) -> str:
    """Of everything that they are made from."""
    digest = hashlib.sha256(binaries.parent.name.encode())
    for source in (__file__, debian.__file__, guest.__file__):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:12]


def _write(folder: Path, binaries: Path) -> None:
    blobs = folder / "blobs"
    blobs.mkdir()
    names: dict[str, str] = {}
    for name in _STATIC:
        layer = node_images.put(blobs, _programs(binaries, (name,)))
        names[_named(name)] = _image(blobs, [layer], name, user="1001")
    base = _base(folder)
    for name, programs, user in (("virt-handler", _HANDLER, "0"), ("virt-launcher", _LAUNCHER, str(_QEMU))):
        layer = node_images.put(blobs, _programs(binaries, programs))
        names[_named(name)] = _image(blobs, [base, layer], name, user=user)
    made = guest.write(folder / "guest")
    kernels = (guest.KERNEL, guest.INITRD, guest.AGENT)
    kernel = node_images.put(blobs, _tree({f"boot/{Path(n).name}": made[n] for n in kernels}))
    disk = node_images.put(blobs, _tree({"disk/guest.img": made["disk.img"]}))
    names[GUEST_KERNEL] = node_images.put_image(blobs, [kernel], {})
    names[GUEST_DISK] = names[DEFAULT] = node_images.put_image(blobs, [disk], {})
    (folder / "names.json").write_text(json.dumps(names))


def _named(name: str) -> str:
    return f"{REGISTRY}/{name}:{version()}"


def _image(blobs: Path, layers: list[dict[str, Any]], name: str, *, user: str) -> str:
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return node_images.put_image(blobs, layers, {"Entrypoint": [f"/usr/bin/{name}"], "Env": [path], "User": user})


def _base(folder: Path) -> dict[str, Any]:
    source = build.source(build.KUBEVIRT.binaries[0]) / "cmd/virt-launcher"
    draft = folder / "base.tar"
    debian.write_layer(draft, source)
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = draft.stat().st_size
    draft.rename(folder / "blobs" / f"sha256-{digest}")
    return {"digest": f"sha256:{digest}", "size": size}


def _programs(binaries: Path, names: tuple[str, ...]) -> bytes:
    capabilities = {"usr/bin/virt-launcher-monitor": _NET_BIND_SERVICE}
    return _tree({f"usr/bin/{name}": binaries / name for name in names}, capabilities, owner=0)


def _tree(files: Mapping[str, Path], capabilities: Mapping[str, str] | None = None, owner: int = _QEMU) -> bytes:
    """Of files, the folders that they are in, and /tmp, which KubeVirt's commands want to find."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in sorted(
            {parent.as_posix() for name in (*files, "tmp/x") for parent in Path(name).parents} - {"."}
        ):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        for name, path in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid = path.stat().st_size, 0o755, owner, owner
            if name in (capabilities or {}):
                info.pax_headers = {"SCHILY.xattr.security.capability": (capabilities or {})[name]}
            with path.open("rb") as source:
                tar.addfile(info, source)
    return content.getvalue()
