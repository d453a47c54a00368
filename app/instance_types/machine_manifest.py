"""What a VM instance's VirtualMachine is made of: its settings in KubeVirt's words.

https://kubevirt.io/user-guide/storage/disks_and_volumes/ and https://kubevirt.io/user-guide/user_workloads/boot_from_external_source/
"""

from collections.abc import Mapping
from typing import Any

from app.instance_types.values import InstanceSpec, cpu_quantity, memory_quantity
from app.models import Wanted
from app.rules import naming, volumes

GRACE_SECONDS = 60
RERUN = "cmp.io/rerun"

_IDLE = (Wanted.STOPPED, Wanted.ABSENT)
_PULL = {"always": "Always", "if-not-present": "IfNotPresent", "never": "Never"}


def run_strategy(spec: InstanceSpec) -> str:
    """`Once` leaves a guest that ended as it is, to be seen by whoever looks late. KubeVirt's own RerunOnFailure clears
    it away, and looks then like one that was not started yet.
    """
    if spec.wanted in _IDLE:
        return "Halted"
    return "Always" if keeps_running(spec) else "Once"


def keeps_running(spec: InstanceSpec) -> bool:
    return bool(spec.settings.get("run_strategy", "always") == "always")


def rerun(spec: InstanceSpec) -> dict[str, str]:
    return {RERUN: "on-failure"} if spec.settings.get("run_strategy") == "rerun-on-failure" else {}


def machine_spec(spec: InstanceSpec) -> dict[str, Any]:
    """The template's spec. Sockets, because only they and memory can be changed while it runs; the exact CPU share as a
    request, because KubeVirt would ask for a tenth of it. https://kubevirt.io/user-guide/compute/cpu_hotplug/
    """
    settings = spec.settings
    disks = _disks(spec)
    keys = naming.secret_name(spec.cluster.cluster_name, "ssh")
    credentials = [{"sshPublicKey": {"source": {"secret": {"secretName": keys}}, "propagationMethod": {"noCloud": {}}}}]
    return {
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "evictionStrategy": "LiveMigrateIfPossible",
        **({"accessCredentials": credentials} if settings.get("ssh_keys") else {}),
        "domain": {
            **_size(spec),
            **_firmware(spec),
            "devices": {
                "disks": [{"name": name, "disk": {"bus": "virtio"}} for name in disks],
                "interfaces": [{"name": "default", "masquerade": {}}],
            },
        },
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": name, **source} for name, source in disks.items()],
    }


def data_volume_templates(spec: InstanceSpec) -> list[dict[str, Any]]:
    """Of a root disk that the Containerized Data Importer fills from the image, once."""
    root = spec.settings.get("root_disk") or {}
    if root.get("type") != "persistent":
        return []
    storage: dict[str, Any] = {"resources": {"requests": {"storage": memory_quantity(root["size"])}}}
    if root.get("storage_class"):
        storage["storageClassName"] = root["storage_class"]
    source = {"registry": {"url": f"docker://{spec.image}"}}
    name = naming.claim_name(spec.name, volumes.ROOT)
    return [{"metadata": {"name": name}, "spec": {"source": source, "storage": storage}}]


def _size(spec: InstanceSpec) -> dict[str, Any]:
    if spec.settings.get("instancetype"):
        return {}
    return {
        "cpu": {"sockets": max(1, -(-spec.cpu // 1000)), "cores": 1, "threads": 1},
        "memory": {"guest": memory_quantity(spec.memory)},
        "resources": {"requests": {"cpu": cpu_quantity(spec.cpu)}},
    }


def _firmware(spec: InstanceSpec) -> dict[str, Any]:
    boot = spec.settings.get("kernel_boot")
    if not boot:
        return {}
    container = {
        "image": boot["image"],
        "kernelPath": boot["kernel_path"],
        **({"initrdPath": boot["initrd_path"]} if boot.get("initrd_path") else {}),
        **_pulling(spec),
    }
    arguments = {"kernelArgs": boot["kernel_args"]} if boot.get("kernel_args") else {}
    return {"firmware": {"kernelBoot": {"container": container, **arguments}}}


def _disks(spec: InstanceSpec) -> dict[str, dict[str, Any]]:
    """By name, in the order in which the guest sees them: the root disk, further ones, cloud-init."""
    settings = spec.settings
    found = {volumes.ROOT: _root(spec)}
    for volume in settings.get("volumes") or ():
        found[volume["name"]] = _further(spec, volume)
    if settings.get("cloud_init") or settings.get("ssh_keys"):
        kept = {"name": naming.secret_name(spec.cluster.cluster_name, "cloudinit")}
        network = {"networkDataSecretRef": kept} if "network_data" in (settings.get("cloud_init") or ()) else {}
        found["cloudinit"] = {"cloudInitNoCloud": {"secretRef": kept, **network}}
    return found


def _root(spec: InstanceSpec) -> dict[str, Any]:
    kind = (spec.settings.get("root_disk") or {}).get("type", "image")
    claim = naming.claim_name(spec.name, volumes.ROOT)
    if kind == "persistent":
        return {"dataVolume": {"name": claim}}
    if kind == "blank":
        return {"persistentVolumeClaim": {"claimName": claim}}
    return {"containerDisk": {"image": spec.image, **_pulling(spec)}}


def _further(spec: InstanceSpec, volume: Mapping[str, Any]) -> dict[str, Any]:
    if volume["type"] == "empty":
        return {"emptyDisk": {"capacity": memory_quantity(volume["size"])}}
    return {"persistentVolumeClaim": {"claimName": naming.claim_name(spec.name, volume["name"])}}


def _pulling(spec: InstanceSpec) -> dict[str, Any]:
    policy = spec.settings.get("pull_policy")
    login = spec.settings.get("registry")
    return {
        **({"imagePullPolicy": _PULL[policy]} if policy else {}),
        **({"imagePullSecret": naming.secret_name(spec.cluster.cluster_name, "registry")} if login else {}),
    }
