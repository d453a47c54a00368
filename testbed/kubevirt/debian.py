"""What KubeVirt's launcher and handler stand on: Debian's libvirt and QEMU, arranged as KubeVirt expects them."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from testbed import packages

_WANTED = (
    "libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-daemon-common", "libvirt-daemon-log", "libvirt-clients",
    "qemu-utils", "nftables", "xorriso", "swtpm", "swtpm-tools", "iproute2", "bash", "dash", "coreutils", "util-linux",
    "mount", "procps", "findutils", "grep", "sed", "tar", "gawk", "kmod", "libcap2-bin", "ethtool", "e2fsprogs", "cpio",
    "acl",
)  # fmt: skip
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl", "usr/include")
_QEMU = 107
# Debian has one libvirtd where others have a virtqemud, and its socket has another name.
_VIRTQEMUD = """#!/bin/bash
mkdir -p /var/run/libvirt
ln -sfn libvirt-sock /var/run/libvirt/virtqemud-sock
exec /usr/sbin/libvirtd "$@"
"""
_PASSWD = f"""root:x:0:0:root:/root:/bin/bash
qemu:x:{_QEMU}:{_QEMU}::/home/qemu:/bin/bash
libvirt-qemu:x:64055:{_QEMU}::/:/bin/false
"""
_GROUP = f"root:x:0:\nqemu:x:{_QEMU}:\nkvm:x:994:qemu,libvirt-qemu\nlibvirt:x:993:\nlibvirt-qemu:x:64055:\ntty:x:5:\n"
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


def base() -> Path:
    """The packages, unpacked. Raises Unavailable when they cannot be had."""
    return packages.unpacked("qemu-system-x86", "trixie", *_WANTED)


def write_layer(target: Path, launcher: Path) -> None:
    """The whole of it as one image layer; `launcher` is KubeVirt's folder of configuration for it."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        root = base()
        for name in _names(root):
            tar.add(root / name, name, recursive=False, filter=_owned_by_root)
        for name, owner in _FOLDERS.items():
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755, owner))
        link = _entry("var/run", tarfile.SYMTYPE, 0o777)
        # Relative, because virt-handler looks at it from outside, below /proc/<pid>/root.
        link.linkname = "../run"
        tar.addfile(link)
        for name, (mode, text, owner) in _files(launcher).items():
            info = _entry(name, tarfile.REGTYPE, mode, owner)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))


_FOLDERS = {
    "home": 0,
    "home/qemu": _QEMU,
    "root": 0,
    "etc/libvirt/hooks": _QEMU,
    "usr/lib64/qemu-kvm": 0,
    "var/lib/libvirt": 0,
    "var/cache/libvirt": _QEMU,
    "var/log/libvirt": _QEMU,
    "var/lib/swtpm-localca": _QEMU,
    "run/libvirt": _QEMU,
}


def _names(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders if (inside / name).as_posix() not in _LEFT_OUT)
        yield from ((inside / name).as_posix() for name in (*folders, *sorted(files)))


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if info.name in ("var/run", *(name for name, _ in _replaced())):
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _replaced() -> list[tuple[str, int]]:
    return [("usr/sbin/virtqemud", 0o755), ("etc/passwd", 0o644), ("etc/group", 0o644), ("etc/nsswitch.conf", 0o644)]


def _files(launcher: Path) -> dict[str, tuple[int, bytes, int]]:
    return {
        "usr/sbin/virtqemud": (0o755, _VIRTQEMUD.encode(), 0),
        "etc/passwd": (0o644, _PASSWD.encode(), 0),
        "etc/group": (0o644, _GROUP.encode(), 0),
        "etc/nsswitch.conf": (0o644, _NSSWITCH.encode(), 0),
        "etc/libvirt/qemu.conf": (0o644, (launcher / "qemu.conf").read_bytes(), 0),
        "etc/libvirt/virtqemud.conf": (0o644, (launcher / "virtqemud.conf").read_bytes(), 0),
        "etc/libvirt/hooks/qemu": (0o755, (launcher / "qemu").read_bytes(), _QEMU),
        "usr/bin/node-labeller.sh": (0o755, (launcher / "node-labeller/node-labeller.sh").read_bytes(), 0),
    }


def _entry(name: str, kind: bytes, mode: int, owner: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid = kind, mode, owner, owner
    return info
