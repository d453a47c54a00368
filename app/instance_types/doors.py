"""Where the ways into an instance begin in Kubernetes: which subresource of which object, and how it is spoken to."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from app.instance_types import reading
from app.instance_types.values import Door, Object
from app.rules.reach import Console, Exec, Logs, PortForward, Screenshot, Vnc, Way

MAIN = "main"
CONSOLE_LOG = "guest-console-log"
POD = "Pod"
RUNNING_VM = "VirtualMachineInstance"


def of_container(wanted: Way | Logs | Screenshot, objects: Mapping[str, Object]) -> Door | None:
    """https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#-strong-misc-operations-pod-v1-core-strong-"""
    name = _name(objects.get(POD))
    if name is None:
        return None
    match wanted:
        case Logs():
            return Door(POD, name, "log", (("container", MAIN), *_log_params(wanted)))
        case Exec():
            # A terminal has one output.
            streams = {"stdin": wanted.stdin, "stdout": True, "stderr": not wanted.tty, "tty": wanted.tty}
            params = [("container", MAIN), *((key, str(value).lower()) for key, value in streams.items())]
            params += [("command", word) for word in wanted.command]
            return Door(POD, name, "exec", tuple(params), "v5.channel.k8s.io", "channels")
        case PortForward():
            return Door(POD, name, "portforward", (("ports", str(wanted.port)),), "v4.channel.k8s.io", "port")
        case _:
            return None


def of_virtual_machine(wanted: Way | Logs | Screenshot, objects: Mapping[str, Object]) -> Door | None:
    """kubevirt pkg/virt-api/rest; its log is what a container beside the guest reads from the serial console."""
    name = _name(objects.get(RUNNING_VM))
    if name is None:
        return None
    match wanted:
        case Logs():
            launcher = objects.get(POD)
            if launcher is None or not _has_container(launcher, CONSOLE_LOG):
                return None
            return Door(POD, str(_name(launcher)), "log", (("container", CONSOLE_LOG), *_log_params(wanted)))
        case PortForward():
            return _spoken(name, f"portforward/{wanted.port}/tcp")
        case Console():
            return _spoken(name, "console")
        case Vnc():
            return _spoken(name, "vnc", ("preserveSession", str(wanted.preserve).lower()))
        case Screenshot():
            return Door(RUNNING_VM, name, "vnc/screenshot", (("moveCursor", "false"),))
        case _:
            return None


def _spoken(name: str, subresource: str, *params: tuple[str, str]) -> Door:
    return Door(RUNNING_VM, name, subresource, params, "plain.kubevirt.io")


def _log_params(wanted: Logs) -> list[tuple[str, str]]:
    switches = {"follow": wanted.follow, "previous": wanted.previous, "timestamps": wanted.timestamps}
    params = [(key, "true") for key, value in switches.items() if value]
    if wanted.since_seconds is not None:
        params.append(("sinceSeconds", str(wanted.since_seconds)))
    if wanted.since_time is not None:
        params.append(("sinceTime", wanted.since_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
    if wanted.tail is not None:
        params.append(("tailLines", str(wanted.tail)))
    return params


def _name(obj: Object | None) -> str | None:
    name: str | None = reading.metadata(obj).get("name")
    return name


def _has_container(pod: Object, name: str) -> bool:
    spec = reading.spec(pod)
    every: list[Mapping[str, Any]] = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return any(container.get("name") == name for container in every)
