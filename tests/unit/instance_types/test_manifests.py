"""What is sent to Kubernetes, whole: the files in golden/ are read by people and by a real API server (tests/kube)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.instance_types.values import InstanceSpec
from app.k8s_service import INSTANCE_TYPES
from app.kube.kinds import KINDS
from app.models import InstanceType, Wanted
from app.rules import naming
from tests.unit.instance_types.examples import CONTAINER, VM

GOLDEN = Path(__file__).parent / "golden"

CASES = {
    "container": CONTAINER,
    "container-large": replace(CONTAINER, cpu=2000, memory=4096, image="registry.example/team/app@sha256:" + "0" * 64),
    "vm": VM,
    "vm-halted": replace(VM, wanted=Wanted.STOPPED),
    "vm-fraction": replace(VM, cpu=250, memory=64),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    """After a change that is meant: write the printed manifest into the file, and look at the difference."""
    manifest = INSTANCE_TYPES[CASES[name].instance_type].manifest(CASES[name])
    text = json.dumps(manifest, indent=2) + "\n"
    print(text)
    assert text == (GOLDEN / f"{name}.json").read_text()


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
