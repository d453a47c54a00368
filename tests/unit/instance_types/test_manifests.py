"""What is sent to Kubernetes, whole: the files in golden/ are read by people and by a real API server (tests/kube)."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.instance_types import objects
from app.instance_types.values import InstanceSpec
from app.k8s_service import INSTANCE_TYPES
from app.kube.kinds import KINDS
from app.models import InstanceType, Wanted
from app.rules import naming, volumes
from tests.unit.instance_types.examples import (
    CONTAINER,
    FULL,
    FULL_SETTINGS,
    FULL_VM,
    FULL_VM_SETTINGS,
    IMPORTED_VM,
    VM,
)

GOLDEN = Path(__file__).parent / "golden"

CASES = {
    "container": CONTAINER,
    "container-large": replace(CONTAINER, cpu=2000, memory=4096, image="registry.example/team/app@sha256:" + "0" * 64),
    "container-full": FULL,
    "container-with-agent": replace(CONTAINER, agents=True),
    "vm": VM,
    "vm-full": FULL_VM,
    "vm-imported": IMPORTED_VM,
    "vm-halted": replace(VM, wanted=Wanted.STOPPED),
    "vm-fraction": replace(VM, cpu=250, memory=64),
}


def written(name: str) -> str:
    manifest = INSTANCE_TYPES[CASES[name].instance_type].manifest(CASES[name])
    return json.dumps(manifest, indent=2) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    """After a change that is meant: write the printed manifest into the file, and look at the difference."""
    text = written(name)
    print(text)
    assert text == (GOLDEN / f"{name}.json").read_text()


def test_what_containers_have_in_common() -> None:
    shared = INSTANCE_TYPES[InstanceType.CONTAINER].shared(FULL.cluster, FULL.settings, FULL_SETTINGS.secrets())
    for name, obj in zip(("secret-env", "secret-registry", "service"), shared, strict=True):
        text = json.dumps(obj, indent=2) + "\n"
        print(text)
        assert text == (GOLDEN / f"container-{name}.json").read_text()
    login = json.loads(base64.b64decode(shared[1]["data"][".dockerconfigjson"]))["auths"]["registry.example:5000"]
    assert base64.b64decode(login["auth"]).decode() == "ada:pass:wörd"


def test_what_machines_have_in_common() -> None:
    shared = INSTANCE_TYPES[InstanceType.VM].shared(FULL_VM.cluster, FULL_VM.settings, FULL_VM_SETTINGS.secrets())
    data = {obj["metadata"]["name"]: obj.get("data", {}) for obj in shared}
    assert list(data) == ["web-cloudinit", "web-ssh", "web-registry", "web"]
    assert base64.b64decode(data["web-cloudinit"]["userdata"]) == b"#cloud-config\n"
    assert base64.b64decode(data["web-cloudinit"]["networkdata"]) == b"version: 2\n"
    assert base64.b64decode(data["web-ssh"]["key1"]).startswith(b"ssh-ed25519 ")
    manifest = json.dumps(INSTANCE_TYPES[InstanceType.VM].manifest(FULL_VM)) + json.dumps(FULL_VM.settings)
    assert "s3cret" not in manifest
    assert "#cloud-config" not in manifest


def test_a_plain_container_shares_nothing() -> None:
    assert INSTANCE_TYPES[InstanceType.CONTAINER].shared(CONTAINER.cluster, {}, {}) == []


def test_no_secret_stands_in_a_manifest() -> None:
    stored = json.dumps(FULL.settings) + json.dumps(INSTANCE_TYPES[InstanceType.CONTAINER].manifest(FULL))
    assert "s3cret" not in stored
    assert "pass:" not in stored


@pytest.mark.parametrize("volume", ["data", "old"])
def test_the_disks_of_an_instance(volume: str) -> None:
    wanted = next(claim for claim in volumes.claims(FULL.settings) if claim.volume == volume)
    text = json.dumps(objects.claim(FULL, wanted), indent=2) + "\n"
    print(text)
    assert text == (GOLDEN / f"container-claim-{volume}.json").read_text()
    assert volumes.storage(FULL.settings) == 2048 + 100


@pytest.mark.parametrize("spec", [CONTAINER, VM])
def test_the_document_is_followed(spec: InstanceSpec) -> None:
    manifest = INSTANCE_TYPES[spec.instance_type].manifest(spec)
    labels = manifest["metadata"]["labels"]
    assert manifest["metadata"]["name"] == "web-instance-1"
    assert (labels["managed-by"], labels["instance-type"]) == ("cmp", spec.instance_type.value)
    assert labels["app.kubernetes.io/managed-by"] == "cmp"


def test_every_instance_type_is_registered() -> None:
    for instance_type in InstanceType:
        driver = INSTANCE_TYPES[instance_type]
        assert driver.instance_type is instance_type
        assert driver.kind in driver.watches
        assert naming.kubernetes_resource(instance_type, "x") == f"{KINDS[driver.kind].plural}/x"


def test_a_vm_shows_which_incarnation_runs() -> None:
    manifest = INSTANCE_TYPES[InstanceType.VM].manifest(VM)
    template = manifest["spec"]["template"]["metadata"]
    assert template["annotations"] == manifest["metadata"]["annotations"]
    assert template["labels"] == manifest["metadata"]["labels"]
