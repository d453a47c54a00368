"""Stands in for the one thing of KubeVirt's controller that kwok cannot do: a VM that runs has an instance object.

A thread that looks every moment: makes the VirtualMachineInstance of a VM that is up, with the labels and annotations
of its template, and deletes it when the VM halts. The statuses of VMs themselves are kwok's stages.
"""

import threading
from typing import Any

from testbed.kubernetes.api import Api, Refused

_GROUP = "/apis/kubevirt.io/v1"
_INTERVAL = 0.2
_UP = frozenset({"Running"})


class VirtController:
    def __init__(self, api: Api, node: str) -> None:
        self._api = api
        self._node = node
        self._end = threading.Event()
        self.last_error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="virt-controller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(_INTERVAL):
            try:
                self._look()
            except (OSError, Refused) as error:
                # The API server is being killed and started by tests; the next look finds what this one missed.
                self.last_error = error

    def _look(self) -> None:
        machines = self._api.get(f"{_GROUP}/virtualmachines")["items"]
        there = {_key(item): item for item in self._api.get(f"{_GROUP}/virtualmachineinstances")["items"]}
        for machine in machines:
            wanted = _wants_instance(machine)
            existing = there.get(_key(machine))
            if wanted and existing is None:
                self._make(machine)
            elif not wanted and existing is not None and _halted(machine):
                self._delete(existing)

    def _make(self, machine: dict[str, Any]) -> None:
        metadata = machine["metadata"]
        template = machine["spec"]["template"]
        owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": metadata["name"]}
        made = template.get("metadata", {})
        body = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstance",
            "metadata": {
                "name": metadata["name"],
                "labels": made.get("labels", {}),
                "annotations": made.get("annotations", {}),
                "ownerReferences": [{**owner, "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}],
            },
            "spec": template["spec"],
            "status": {
                "phase": "Running",
                "nodeName": self._node,
                "conditions": [{"type": "Ready", "status": "True"}],
                "interfaces": [{"name": "default", "ipAddress": "10.244.200.1"}],
            },
        }
        self._api.post(f"{_GROUP}/namespaces/{metadata['namespace']}/virtualmachineinstances", body)

    def _delete(self, instance: dict[str, Any]) -> None:
        namespace, name = _key(instance)
        self._api.call("DELETE", f"{_GROUP}/namespaces/{namespace}/virtualmachineinstances/{name}")


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _halted(machine: dict[str, Any]) -> bool:
    return machine["spec"].get("runStrategy") == "Halted" or "deletionTimestamp" in machine["metadata"]


def _wants_instance(machine: dict[str, Any]) -> bool:
    return not _halted(machine) and machine.get("status", {}).get("printableStatus") in _UP
