"""A Pod's cgroup is found wherever the kubelet puts it. That the kernel freezes it is tested in tests/node."""

from pathlib import Path

import pytest

from agent.freezer import Freezer

UID = "12345678-9abc-def0-1234-56789abcdef0"
UNDERSCORED = UID.replace("-", "_")
LAYOUTS = [
    f"kubepods/pod{UID}",
    f"kubepods/burstable/pod{UID}",
    f"kubepods/besteffort/pod{UID}",
    f"kubepods.slice/kubepods-pod{UNDERSCORED}.slice",
    f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice",
    f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORED}.slice",
    f"kubelet/kubepods/burstable/pod{UID}",
    f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UNDERSCORED}.slice",
    f"a/b/kubepods/burstable/pod{UID}",
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", [1, 2])
def test_a_pods_cgroup_is_found(tmp_path: Path, layout: str, version: int) -> None:
    top = tmp_path / "freezer" if version == 1 else tmp_path
    pod = top / layout
    (pod / f"cri-containerd-{'0' * 64}.scope").mkdir(parents=True)
    (top / "system.slice/pod.service").mkdir(parents=True)
    if version == 2:
        (tmp_path / "cgroup.controllers").touch()
    freezer = Freezer(tmp_path)
    assert freezer.version == version
    assert freezer.pods() == {UID: pod}


def test_only_the_kubelets_cgroups_count(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    for other in (f"system.slice/pod{UID}", f"pod{UID}", f"kubepods/pod{UID}-copy", "kubepods/podman"):
        (tmp_path / other).mkdir(parents=True)
    inner = tmp_path / f"kubepods/pod{UID}" / "pod00000000-0000-0000-0000-000000000000"
    inner.mkdir(parents=True)
    assert Freezer(tmp_path).pods() == {UID: tmp_path / f"kubepods/pod{UID}"}


def test_where_nothing_is_mounted_it_says_what_to_look_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is the node's /sys/fs/cgroup mounted there"):
        Freezer(tmp_path)
