"""Clusters from files: the difference, and what becomes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cmpctl.commands.apply import changes
from tests.cmpctl.command import Cmpctl

_FOUND: dict[str, Any] = {
    "name": "web",
    "instance_type": "container",
    "instance_count": 2,
    "cpu_per_instance": 0.5,
    "memory_per_instance": 1024,
    "flavour": None,
    "image": "registry.example.org/web:1",
    "image_name": "web",
    "labels": {"tier": "front", "old": "1"},
    "max_unavailable": 1,
    "container": {
        "env": {"A": "1"},
        "secret_env": ["PIN"],
        "ports": [{"port": 80, "protocol": "TCP", "name": None}],
        "registry": {"server": "registry.example.org", "username": "ada"},
        "volumes": [{"type": "persistent", "name": "data", "mount_path": "/data", "size": 1024, "read_only": False}],
    },
    "vm": None,
}


@pytest.mark.parametrize(
    ("wish", "patch"),
    [
        ({}, {}),
        ({"instance_count": 5}, {}),
        ({"cpu_per_instance": "500m", "memory_per_instance": "1Gi"}, {}),
        ({"cpu_per_instance": 1}, {"cpu_per_instance": 1}),
        ({"image": "web"}, {}),
        ({"image": "registry.example.org/web:1"}, {}),
        ({"image": "web:2"}, {"image": "web:2"}),
        ({"labels": {"tier": "back"}}, {"labels": {"tier": "back", "old": None}}),
        ({"container": {"env": {}}}, {"container": {"env": {"A": None}}}),
        ({"container": {"env": {"A": "1", "B": "2"}}}, {"container": {"env": {"B": "2"}}}),
        ({"container": {"ports": [{"port": 80}]}}, {}),
        ({"container": {"ports": [{"port": 81}]}}, {"container": {"ports": [{"port": 81}]}}),
        ({"container": {"secret_env": {"PIN": "x"}}}, {}),
        ({"container": {"secret_env": {"KEY": "x"}}}, {"container": {"secret_env": {"KEY": "x"}}}),
        (
            {"container": {"volumes": [{"type": "persistent", "name": "data", "mount_path": "/data", "size": "1Gi"}]}},
            {},
        ),
        ({"container": {"registry": {"server": "registry.example.org", "username": "ada", "password": "x"}}}, {}),
    ],
)
def test_the_difference(wish: dict[str, Any], patch: dict[str, Any]) -> None:
    assert changes(_FOUND, {"name": "web", "instance_type": "container", **wish}, False) == patch


def test_secrets_are_sent_when_one_says_so() -> None:
    wish = {"container": {"secret_env": {"PIN": "x"}}}
    assert changes(_FOUND, wish, True) == wish


def _file(name: str, **fields: Any) -> str:
    size = {"cpu_per_instance": 0.1, "memory_per_instance": 64}
    return json.dumps({"name": name, "instance_type": "container", **size, **fields})


def test_new_unchanged_changed_and_scaled(ada: Cmpctl, tmp_path: Path) -> None:
    file = tmp_path / "blog.json"
    before = _file("blog", container={"env": {"A": "1", "B": "2"}})
    file.write_text(f"{before}\n---\n{_file('shop')}")
    assert [line.split()[:2] for line in ada("apply", "-f", str(file)).lines] == [["+", "blog"], ["+", "shop"]]
    assert ada("apply", "-f", str(file)).out == "= blog\n= shop\n"
    after = _file("blog", instance_count=2, image="httpd", container={"env": {"B": "3"}})
    dry = ada("apply", "-f", "-", "--dry-run", input=after)
    shown = ["~ blog", "    container.env.A: 1 -> null", "    container.env.B: 2 -> 3"]
    assert [line for line in dry.lines if line in shown] == shown
    assert "    instance_count: 1 -> 2" in dry.lines
    assert dry.err == ""
    unchanged = ada.get("/clusters/blog")
    assert (unchanged["instance_count"], unchanged["container"]["env"]) == (1, {"A": "1", "B": "2"})
    assert ada("apply", "-f", "-", input=after).out == dry.out
    blog = ada.get("/clusters/blog")
    assert (blog["instance_count"], blog["ready_instances"], blog["image"]) == (2, 2, "httpd")
    assert blog["container"]["env"] == {"B": "3"}
    assert ada("apply", "-f", "-", input=after).out == "= blog\n"


def test_a_type_never_changes(ada: Cmpctl) -> None:
    ada("launch", "kind", "--cpu", "0.1", "--memory", "64Mi")
    text = json.dumps({"name": "kind", "instance_type": "vm"})
    assert "a type never changes" in ada("apply", "-f", "-", input=text, code=1).err
    assert ada.get("/clusters/kind")["instance_type"] == "container"


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is not YAML"), ("- a\n- b\n", "a mapping that has a name"), ("instance_type: vm\n", "that has a name")],
)
def test_what_is_no_cluster(ada: Cmpctl, text: str, said: str) -> None:
    assert said in ada("apply", "-f", "-", input=text, code=2).err


def test_a_file_that_is_not_there(ada: Cmpctl, tmp_path: Path) -> None:
    assert "cannot be read" in ada("apply", "-f", str(tmp_path / "none.yaml"), code=2).err
