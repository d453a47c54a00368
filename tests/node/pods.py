"""Pods on the real node, as kubectl makes and shows them."""

import json
import time
from collections.abc import Callable
from typing import Any

from testbed.node import Node


def run(node: Node, name: str, image: str, *command: str, memory: str | None = None, **more: Any) -> None:
    """Ask for a Pod with one container called `main`; `more` goes into the container."""
    container: dict[str, Any] = {"name": "main", "image": image, **more}
    if command:
        container["args"] = list(command)
    if memory:
        container["resources"] = {"limits": {"memory": memory, "cpu": "100m"}}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    node.control_plane.kubectl("create", "-f", "-", stdin=json.dumps(pod))


def delete(node: Node, *names: str) -> None:
    node.control_plane.kubectl("delete", "pod", *names, "--timeout=60s")


def until(node: Node, name: str, done: Callable[[Any], Any], seconds: float = 60) -> Any:
    """The Pod, as soon as `done` says so."""
    deadline = time.monotonic() + seconds
    while not done(pod := json.loads(node.control_plane.kubectl("get", "pod", name, "-o", "json"))):
        assert time.monotonic() < deadline, f"{name} is {json.dumps(pod['status'], indent=1)}"
        time.sleep(0.1)
    return pod


def ready(pod: Any) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def main(pod: Any) -> Any:
    """The container's status, empty before the kubelet has written one."""
    return next(iter(pod["status"].get("containerStatuses", [])), {"state": {}, "lastState": {}})


def waits_for(reason: str) -> Callable[[Any], bool]:
    return lambda pod: bool(main(pod)["state"].get("waiting", {}).get("reason") == reason)
