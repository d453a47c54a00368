"""Where the ways into an instance begin, and that the kinds have exactly those that the rules say."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.instance_types.values import Door
from app.k8s_service import INSTANCE_TYPES
from app.models import InstanceType
from app.rules import reach
from app.rules.reach import Access, Console, Exec, Logs, PortForward, Screenshot, Vnc, Way

POD: dict[str, Any] = {"metadata": {"name": "web-instance-1"}, "spec": {"containers": [{"name": "main"}]}}
LAUNCHER: dict[str, Any] = {
    "metadata": {"name": "virt-launcher-web-instance-1-abcde"},
    "spec": {"containers": [{"name": "compute"}], "initContainers": [{"name": "guest-console-log"}]},
}
MACHINE: dict[str, Any] = {"metadata": {"name": "web-instance-1"}}
OBJECTS: dict[InstanceType, dict[str, Any]] = {
    InstanceType.CONTAINER: {"Pod": POD},
    InstanceType.VM: {"VirtualMachine": MACHINE, "VirtualMachineInstance": MACHINE, "Pod": LAUNCHER},
}
WAYS: dict[Access, Way | Logs] = {
    Access.LOGS: Logs(),
    Access.EXEC: Exec(("sh",)),
    Access.PORT_FORWARD: PortForward(80),
    Access.CONSOLE: Console(),
    Access.VNC: Vnc(),
}


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, _, value in (word.partition("=") for word in text.split()))


CONTAINER, VM = INSTANCE_TYPES[InstanceType.CONTAINER], INSTANCE_TYPES[InstanceType.VM]


@pytest.mark.parametrize(("kind", "access"), list(itertools.product(InstanceType, Access)))
def test_the_rules_and_the_kinds_agree(kind: InstanceType, access: Access) -> None:
    driver = INSTANCE_TYPES[kind]
    there = driver.door(WAYS[access], OBJECTS[kind]) is not None
    assert there is (reach.never(access, kind) is None)
    assert driver.door(WAYS[access], {}) is None
    assert driver.reached[0] == driver.kind


@pytest.mark.parametrize(
    ("wanted", "door"),
    [
        (
            Exec(("sh", "-c", "a_b"), tty=True, stdin=True),
            Door(
                "Pod",
                "web-instance-1",
                "exec",
                _pairs("container=main stdin=true stdout=true stderr=false tty=true command=sh command=-c command=a_b"),
                "v5.channel.k8s.io",
                "channels",
            ),
        ),
        (
            PortForward(8080),
            Door("Pod", "web-instance-1", "portforward", (("ports", "8080"),), "v4.channel.k8s.io", "port"),
        ),
        (
            Logs(follow=True, previous=True, timestamps=True, since_seconds=5, tail=0),
            Door(
                "Pod",
                "web-instance-1",
                "log",
                _pairs("container=main follow=true previous=true timestamps=true sinceSeconds=5 tailLines=0"),
            ),
        ),
    ],
)
def test_of_a_container(wanted: Way | Logs, door: Door) -> None:
    assert CONTAINER.door(wanted, OBJECTS[InstanceType.CONTAINER]) == door


@pytest.mark.parametrize(
    ("wanted", "kind", "name", "subresource", "params"),
    [
        (PortForward(22), "VirtualMachineInstance", "web-instance-1", "portforward/22/tcp", ()),
        (Console(), "VirtualMachineInstance", "web-instance-1", "console", ()),
        (Vnc(preserve=False), "VirtualMachineInstance", "web-instance-1", "vnc", (("preserveSession", "false"),)),
        (Screenshot(), "VirtualMachineInstance", "web-instance-1", "vnc/screenshot", (("moveCursor", "false"),)),
        (Logs(), "Pod", "virt-launcher-web-instance-1-abcde", "log", (("container", "guest-console-log"),)),
    ],
)
def test_of_a_machine(
    wanted: Way | Logs | Screenshot, kind: str, name: str, subresource: str, params: tuple[tuple[str, str], ...]
) -> None:
    door = VM.door(wanted, OBJECTS[InstanceType.VM])
    assert door is not None
    assert (door.kind, door.name, door.subresource, door.params) == (kind, name, subresource, params)
    assert door.framing == "plain"


def test_a_machine_whose_console_is_not_kept_has_no_log() -> None:
    launcher = {**LAUNCHER, "spec": {"containers": [{"name": "compute"}]}}
    assert VM.door(Logs(), {**OBJECTS[InstanceType.VM], "Pod": launcher}) is None


def test_a_time_is_told_in_utc() -> None:
    since = datetime(2026, 11, 25, 19, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=1)))
    door = CONTAINER.door(Logs(since_time=since), OBJECTS[InstanceType.CONTAINER])
    assert door is not None
    assert dict(door.params)["sinceTime"] == "2026-11-25T18:30:00.250000Z"
    assert since.astimezone(UTC).hour == 18
