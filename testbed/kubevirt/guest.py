"""A guest that boots in seconds under emulation: Debian's cloud kernel and busybox, as a kernel or as a disk.

On its serial console a shell answers after the line READY. What a test wants to know is a file in /run, which is also
served on port 80: `counter` (one more each second, in memory only), `user-data` and `meta-data` of the cloud-init disk,
`address`. It shuts down when the power button is pressed, unless DEAF is on its kernel's command line. With AGENT in
INITRD's place QEMU's guest agent runs in it.
"""

import lzma
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed import packages
from testbed.kubevirt.debian import base

READY = "cmp guest is ready"
DEAF = "deaf"
KERNEL, INITRD, AGENT = "boot/vmlinuz", "boot/initrd", "boot/initrd-agent"
NAME = "CMP's guest"
CONSOLE = "console=ttyS0 quiet panic=-1"

_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "isofs", "button", "evdev", "af_packet")
_INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=linux
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in $(cat /modules); do insmod /lib/$module.ko; done
mdev -s
hostname "$(cat /proc/sys/kernel/hostname)"
for disk in /dev/vd?; do
    mount -t iso9660 -o ro $disk /mnt 2>/dev/null || continue
    [ -f /mnt/user-data ] && cp /mnt/*-data /run/
    [ -f /mnt/network-config ] && cp /mnt/network-config /run/
    umount /mnt
done
ip link set lo up
for link in /sys/class/net/e*; do
    ip link set ${{link##*/}} up
    udhcpc -q -n -i ${{link##*/}} -s /udhcpc >/dev/null 2>&1 &
done
grep -qw {DEAF} /proc/cmdline || acpid -l /dev/null -p /run/acpid.pid
(n=0; while :; do n=$((n + 1)); echo $n > /run/counter; sleep 1; done) &
httpd -p 80 -h /run
for port in /sys/class/virtio-ports/*; do
    [ -x /agent/qemu-ga ] && grep -qx org.qemu.guest_agent.0 $port/name || continue
    /agent/ld.so --library-path /agent /agent/qemu-ga -p /dev/${{port##*/}} -t /run -f /run/agent.pid 2>/run/agent.log &
done
echo "{READY}" > /dev/ttyS0
while :; do setsid cttyhack sh < /dev/ttyS0 > /dev/ttyS0 2>&1; done
"""
_DHCP = """#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip address add $ip/${mask:-24} dev $interface
[ -n "$router" ] && ip route add default via $router dev $interface
[ -n "$hostname" ] && hostname $hostname
echo $ip > /run/address
"""
# The guest agent asks for it by this name.
_SHUTDOWN = """#!/bin/busybox sh
case "$*" in
    *-r*) reboot -f ;;
    *) poweroff -f ;;
esac
"""
_ISOLINUX = f"""SERIAL 0
DEFAULT guest
LABEL guest
  KERNEL /{KERNEL}
  INITRD /{INITRD}
  APPEND {CONSOLE}
"""


def write(folder: Path) -> Mapping[str, Path]:
    """The guest's files below `folder`: KERNEL and INITRD or AGENT to boot directly, "disk.img" to boot from.

    Raises Unavailable when Debian's packages cannot be had.
    """
    root = packages.unpacked("linux-image-cloud-amd64", "trixie", "isolinux", "syslinux-common")
    kernel = next((root / "boot").glob("vmlinuz-*"))
    (folder / "boot").mkdir(parents=True)
    (folder / KERNEL).write_bytes(kernel.read_bytes())
    (folder / INITRD).write_bytes(_initramfs(root))
    (folder / AGENT).write_bytes(_initramfs(root, _agent()))
    _write_disk(folder, root)
    return {name: folder / name for name in (KERNEL, INITRD, AGENT, "disk.img")}


def _agent() -> Mapping[str, bytes]:
    """QEMU's guest agent with the libraries that it needs."""
    loader, *path, program = packages.command(packages.unpacked("qemu-guest-agent", "trixie"), "usr/sbin/qemu-ga")
    listed = subprocess.run([loader, *path, "--list", program], check=True, capture_output=True, text=True).stdout
    needed = [Path(name) for name in re.findall(r"=> (/\S+)", listed)]
    files = {"qemu-ga": Path(program), "ld.so": Path(loader), **{name.name: name for name in needed}}
    return {f"agent/{name}": source.read_bytes() for name, source in files.items()}


def _initramfs(root: Path, more: Mapping[str, bytes] | None = None) -> bytes:
    busybox = packages.unpacked("busybox-static") / "bin/busybox"
    modules = dict(_with_dependencies(root))
    files = {
        "init": (0o755, _INIT.encode()),
        "udhcpc": (0o755, _DHCP.encode()),
        "bin/busybox": (0o755, busybox.read_bytes()),
        "modules": (0o644, "\n".join(modules).encode()),
        "etc/acpi/PWRF/00000080": (0o755, b"#!/bin/busybox sh\npoweroff -f\n"),
        "etc/os-release": (0o644, f'NAME="{NAME}"\nID=cmp-guest\nVERSION="1"\nVERSION_ID=1\n'.encode()),
        "sbin/shutdown": (0o755, _SHUTDOWN.encode()),
        **{f"lib/{name}.ko": (0o644, content) for name, content in modules.items()},
        **{name: (0o755, content) for name, content in (more or {}).items()},
    }
    folders = ("agent", "bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "mnt", "proc", "run", "sbin", "sys")
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100000 | mode, content) for name, (mode, content) in files.items()]
    return b"".join(_cpio(*entry) for entry in [*entries, ("TRAILER!!!", 0, b"")])


def _cpio(name: str, mode: int, content: bytes) -> bytes:
    """One entry of the kernel's initramfs format, https://docs.kernel.org/driver-api/early-userspace/buffer-format.html"""
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _with_dependencies(root: Path) -> Iterator[tuple[str, bytes]]:
    """The modules that the kernel was not built with, each after those it needs."""
    tree = next((root / "usr/lib/modules").glob("*"))
    builtin = (tree / "modules.builtin").read_text()
    found = {path.name.partition(".")[0].replace("-", "_"): path for path in tree.rglob("*.ko*")}
    done: set[str] = set()

    def needed(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or (f"/{name}.ko" in builtin and name not in found):
            return
        done.add(name)
        if name not in found:
            return
        content = found[name].read_bytes()
        content = lzma.decompress(content) if found[name].suffix == ".xz" else content
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in (depends[1].decode() if depends else "").split(","):
            yield from needed(other)
        yield name, content

    for name in _MODULES:
        yield from needed(name)


def _write_disk(folder: Path, root: Path) -> None:
    """An image that a BIOS boots from as a disk: isolinux, the same kernel, the same initramfs."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch)
        (tree / "isolinux").mkdir()
        (tree / "boot").mkdir()
        for name in (KERNEL, INITRD):
            (tree / name).hardlink_to(folder / name)
        for source in ("ISOLINUX/isolinux.bin", "syslinux/modules/bios/ldlinux.c32"):
            (tree / "isolinux" / Path(source).name).write_bytes((root / "usr/lib" / source).read_bytes())
        (tree / "isolinux/isolinux.cfg").write_text(_ISOLINUX)
        xorriso = packages.command(base(), "usr/bin/xorriso")
        boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4"]
        boot += ["-boot-info-table", "-isohybrid-mbr", str(root / "usr/lib/ISOLINUX/isohdpfx.bin")]
        image = folder / "disk.img"
        argv = [*xorriso, "-as", "mkisofs", "-quiet", "-V", "guest", *boot, "-o", str(image), str(tree)]
        subprocess.run(argv, check=True, capture_output=True)
    # A disk's size is a whole number of sectors of 1 MiB, or some tools round it up on their own.
    with image.open("r+b") as file:
        file.truncate(-(-image.stat().st_size // 2**20) * 2**20)
