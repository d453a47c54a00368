"""Hostile strings in every setting: what is rendered has our keys and no others, and nothing that is forbidden.

`CMP_FUZZ=full` tries 100,000. The second check knows nothing of how manifests are made.
"""

import base64
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import yaml
from pydantic import ValidationError

from app.instance_types import objects
from app.k8s_service import INSTANCE_TYPES, Isolation, Room, tenancy
from app.models import InstanceType
from app.rules import volumes
from app.schemas import ContainerSettings, VmSettings
from tests.unit.instance_types.examples import CLUSTER, CONTAINER, VM

pytestmark = pytest.mark.timeout(1800)

TRIES = 100_000 if os.environ.get("CMP_FUZZ") == "full" else 2_000

SEEDS = (
    "", " ", "\n", "\r\n", "\t", "\x00", "\x1b[31m", "\u2028", "\ud800", "\U0001f600", "\u202e", "'", '"', "`id`",
    "$(id)", "${x}", "$(POD_IP)", "{{ .Values }}", "%s", "a: b", "- a", "# x", "---", "...", "&a *a",
    "!!python/object:x",
    "|", ">", "? x", "{}", "[]", "null", "~", "true", "yes", "1e9", "0x1f", "2026-01-01", "hostPath:\n  path: /",
    '"},"securityContext":{"privileged":true},"x":{"', "\nruncmd:\n- id", "\n#cloud-config\nusers: []", "../../etc",
    "/var/run/docker.sock", "privileged: true", "hostNetwork: true", "<<: *x", "\\u0000", "a" * 300, "=",
    "--privileged",
)  # fmt: skip
FORBIDDEN = {
    "hostPath", "hostNetwork", "hostPID", "hostIPC", "hostPort", "hostDisk", "hostDevices", "gpus", "privileged",
    "procMount", "sysctls", "serviceAccount", "serviceAccountName", "nodeName", "hostAliases", "shareProcessNamespace",
    "projected", "csi", "nfs", "iscsi", "flexVolume", "sidecar", "dedicatedCpuPlacement", "externalIPs", "volumeName",
    "ownerReferences", "finalizers", "initContainers", "ephemeralContainers", "lifecycle", "volumeDevices",
}  # fmt: skip
# Under these, keys are names that somebody chose.
NAMED = {"labels", "annotations", "data", "matchLabels"}


def hostile(pick: random.Random) -> str:
    return "".join(pick.choice(SEEDS) for _ in range(pick.randint(1, 4)))


def strewn(value: Any, pick: random.Random) -> Any:
    """The same shape, with some of its texts replaced."""
    if isinstance(value, dict):
        return {key: strewn(inner, pick) for key, inner in value.items()}
    if isinstance(value, list):
        return [strewn(inner, pick) for inner in value]
    return hostile(pick) if isinstance(value, str) and pick.random() < 0.4 else value


CONTAINER_SETTINGS: dict[str, Any] = {
        "command": ["a"], "args": ["b", "c"], "env": {"A": "x", "B": "y"}, "secret_env": {"C": "z"},
        "working_dir": "/srv", "ports": [{"port": 80, "name": "http"}],
        "volumes": [{"type": "persistent", "name": "data", "mount_path": "/data", "size": 64, "storage_class": "fast"}],
        "registry": {"server": "registry.example", "username": "u", "password": "p"},
        "health": {"liveness": {"command": ["d"]}, "readiness": {"http": {"path": "/x", "port": 80}}},
}  # fmt: skip


VM_SETTINGS: dict[str, Any] = {
        "root_disk": {"type": "blank", "size": 64, "storage_class": "fast"},
        "kernel_boot": {"image": "k:1", "kernel_path": "/k", "initrd_path": "/i", "kernel_args": "console=ttyS0"},
        "cloud_init": {"user_data": "#cloud-config\n", "network_data": "version: 2\n"},
        "volumes": [{"type": "empty", "name": "scratch", "size": 64}], "ports": [{"port": 22, "name": "ssh"}],
        "registry": {"server": "registry.example", "username": "u", "password": "p"},
}  # fmt: skip


PLAIN: tuple[tuple[InstanceType, type[ContainerSettings] | type[VmSettings], dict[str, Any]], ...] = (
    (InstanceType.CONTAINER, ContainerSettings, CONTAINER_SETTINGS),
    (InstanceType.VM, VmSettings, VM_SETTINGS),
)


def test_settings_that_pass_render_our_keys_and_no_others() -> None:
    pick = random.Random(7)
    ours: dict[str, dict[str, Any]] = {}
    for kind, schema, plain in PLAIN:
        for body in rendered(kind, schema.model_validate(plain)):
            ours[of(kind, body)] = body
            checked(body, body)
    texts = accepted = 0
    while texts < TRIES:
        kind, schema, plain = pick.choice(PLAIN)
        wished = strewn(plain, pick) if pick.random() < 0.2 else one_strewn(plain, pick)
        texts += sum(mine != given for mine, given in zip(leaves(plain), leaves(wished), strict=True))
        if "env" in wished and pick.random() < 0.1:
            wished["env"][hostile(pick)] = hostile(pick)
            texts += 2
        try:
            settings = schema.model_validate(wished)
        except (ValidationError, UnicodeError):
            continue
        accepted += 1
        for body in rendered(kind, settings):
            if body != ours[of(kind, body)]:
                checked(body, ours[of(kind, body)])
    assert accepted > TRIES / 100, "most of it was never rendered"
    print(f"{texts} texts, {accepted} sets of settings accepted and rendered")


def one_strewn(plain: Any, pick: random.Random) -> Any:
    """One text replaced: the others do not get it refused."""
    target = pick.randrange(sum(1 for _ in leaves(plain)))
    counter = iter(range(10_000))

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        if isinstance(value, str):
            return hostile(pick) if next(counter) == target else value
        return value

    return walk(plain)


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value


def rendered(kind: InstanceType, settings: ContainerSettings | VmSettings) -> list[dict[str, Any]]:
    stored, secrets = settings.stored(), settings.secrets()
    spec = replace(CONTAINER if kind is InstanceType.CONTAINER else VM, settings=stored)
    driver = INSTANCE_TYPES[kind]
    room = Room(1, 100, 64, settings=stored, launched=driver.launched)
    claims = [objects.claim(spec, wanted) for wanted in volumes.claims(stored)]
    shared = driver.shared(CLUSTER, stored, secrets)
    return [driver.manifest(spec), *shared, *claims, *tenancy.furniture(CLUSTER, room, Isolation())]


def of(kind: InstanceType, body: dict[str, Any]) -> str:
    """A claim's name ends in its volume's, which is somebody's choice."""
    name = "" if body["kind"] == "PersistentVolumeClaim" else body["metadata"]["name"]
    return f"{kind}/{body['kind']}/{name}"


def checked(body: dict[str, Any], ours: dict[str, Any]) -> None:
    """As Kubernetes reads it: what is applied as YAML, Pods, which are created, as JSON. No key that was not there."""
    text = orjson.dumps(body)
    read = orjson.loads(text) if body["kind"] == "Pod" else yaml.load(text, yaml.CSafeLoader)
    assert read == body
    keys = set(paths(body, ""))
    assert not {path.rpartition(".")[2] for path in keys} & FORBIDDEN
    assert keys <= set(paths(ours, "")), body
    for name, data in (body.get("data") or {}).items():
        assert base64.b64decode(data, validate=True) is not None, name


def paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if path.rpartition(".")[2] in NAMED:
                continue
            yield f"{path}.{key}"
            yield from paths(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")


def test_cloud_init_is_what_was_given_byte_for_byte() -> None:
    pick = random.Random(11)
    for _ in range(TRIES // 10):
        given = hostile(pick)
        try:
            settings = VmSettings.model_validate({"cloud_init": {"user_data": given}})
        except (ValidationError, UnicodeError):
            continue
        shared = INSTANCE_TYPES[InstanceType.VM].shared(CLUSTER, settings.stored(), settings.secrets())
        assert [list(body["data"]) for body in shared] == [["userdata"]]
        assert base64.b64decode(shared[0]["data"]["userdata"]).decode() == given
        manifest = json.dumps(INSTANCE_TYPES[InstanceType.VM].manifest(replace(VM, settings=settings.stored())))
        assert len(given) < 8 or given not in manifest
