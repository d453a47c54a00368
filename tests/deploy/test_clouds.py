"""deploy/ecs, deploy/cloudrun and deploy/aci, by what each cloud's own client library says may be written there."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import googleapiclient
import pytest
import yaml
from azure.mgmt.containerinstance import models
from botocore.validate import ParamValidator

from app.settings import Settings
from tests.e2e.platform import ROOT

_DEPLOY = ROOT / "deploy"
_SECRETS = {"CMP_DATABASE_URL", "CMP_SECRET_KEY"}


@pytest.mark.parametrize("name", ["task-definition.json", "worker-task-definition.json"])
def test_ecs(name: str) -> None:
    definition = json.loads((_DEPLOY / "ecs" / name).read_text())
    assert _ecs_complaints(definition) == []
    ours = definition["containerDefinitions"][1]
    assert {secret["name"] for secret in ours["secrets"]} == _SECRETS
    _are_settings(ours["environment"])
    assert ours["readonlyRootFilesystem"] is True
    volumes = {volume["name"] for volume in definition["volumes"]}
    for container in definition["containerDefinitions"]:
        assert {mount["sourceVolume"] for mount in container["mountPoints"]} <= volumes
    ours["readOnlyRootFilesystem"] = True
    assert "Unknown parameter" in _ecs_complaints(definition)[0]


def test_cloud_run() -> None:
    service = yaml.safe_load((_DEPLOY / "cloudrun/service.yaml").read_text())
    documents = Path(googleapiclient.__file__).parent / "discovery_cache/documents"
    schemas = json.loads((documents / "run.v1.json").read_text())["schemas"]
    assert _google_complaints(service, {"$ref": "Service"}, schemas, "") == []
    (container,) = service["spec"]["template"]["spec"]["containers"]
    assert {entry["name"] for entry in container["env"] if "valueFrom" in entry} == _SECRETS
    _are_settings([entry for entry in container["env"] if "value" in entry])
    annotations = service["spec"]["template"]["metadata"]["annotations"]
    assert annotations["run.googleapis.com/cpu-throttling"] == "false", "the worker is in it"
    container["volumeMount"] = []
    complaints = _google_complaints(service, {"$ref": "Service"}, schemas, "")
    assert complaints == ["/spec/template/spec/containers/0/volumeMount is unknown"]


def test_aci() -> None:
    group = yaml.safe_load((_DEPLOY / "aci/container-group.yaml").read_text())
    del group["apiVersion"]
    assert _azure_complaints(group, "ContainerGroup", "") == []
    for container in group["properties"]["containers"]:
        settings = container["properties"]["environmentVariables"]
        assert {entry["name"] for entry in settings if "secureValue" in entry} == _SECRETS
        _are_settings([entry for entry in settings if "value" in entry])
    group["properties"]["containers"][0]["properties"]["livenessProbes"] = {}
    assert _azure_complaints(group, "ContainerGroup", "") == ["/containers/0/livenessProbes is unknown"]


def _ecs_complaints(definition: dict[str, Any]) -> list[str]:
    shape = botocore.session.Session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    return [line for line in ParamValidator().validate(definition, shape).generate_report().splitlines() if line]


def _google_complaints(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> list[str]:
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    if not isinstance(value, kinds.get(schema["type"], object)):
        return [f"{where} is no {schema['type']}"]
    if isinstance(value, list):
        return [
            line
            for n, item in enumerate(value)
            for line in _google_complaints(item, schema["items"], schemas, f"{where}/{n}")
        ]
    if not isinstance(value, dict):
        return []
    found = []
    for key, item in value.items():
        inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        found += _google_complaints(item, inner, schemas, f"{where}/{key}") if inner else [f"{where}/{key} is unknown"]
    return found


def _azure_complaints(value: Any, kind: str, where: str) -> list[str]:
    """`kind` as the library's models write it: a model's name, [of a list], {of a map}, or a plain type."""
    if kind[0] == "[":
        return [line for n, item in enumerate(value) for line in _azure_complaints(item, kind[1:-1], f"{where}/{n}")]
    if kind[0] == "{":
        return [line for key, item in value.items() for line in _azure_complaints(item, kind[1:-1], f"{where}/{key}")]
    model: Any = getattr(models, kind, None)
    if not hasattr(model, "_attribute_map"):
        plain: dict[str, Any] = {"int": int, "bool": bool, "float": (int, float)}
        return [] if isinstance(value, plain.get(kind, str)) else [f"{where} is no {kind}"]
    known = {entry["key"].removeprefix("properties."): entry["type"] for entry in model._attribute_map.values()}
    validation = {model._attribute_map[name]["key"]: rules for name, rules in model._validation.items()}
    flat = {**{key: item for key, item in value.items() if key != "properties"}, **value.get("properties", {})}
    found = [
        f"{where}/{key} is missing"
        for key, rules in validation.items()
        if rules.get("required") and key.removeprefix("properties.") not in flat
    ]
    for key, item in flat.items():
        found += (
            _azure_complaints(item, known[key], f"{where}/{key}") if key in known else [f"{where}/{key} is unknown"]
        )
    return found


def _are_settings(environment: list[dict[str, str]]) -> None:
    """CMP takes them."""
    said = {entry["name"].removeprefix("CMP_").lower(): entry["value"] for entry in environment}
    assert set(said) <= set(Settings.model_fields)
    Settings.model_validate(said)
