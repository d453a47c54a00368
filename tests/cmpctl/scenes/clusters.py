"""Clusters and instances: made, looked at, changed, operated, deleted; files applied."""

import json
from pathlib import Path

from tests.cmpctl.command import Cmpctl

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVkMjU1MTktcHVibGljLWtleS1mb3ItdGVzdHMx ada@laptop"
_SMALL = ("--cpu", "0.1", "--memory", "64Mi")


def launching(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    size = {"name": "launch-size", "cpu": 0.25, "memory": 128}
    assert admin.request("POST", "/flavours/", json=size).status_code == 201
    container = [
        *("-t", "container", "-n", "2", "--cpu", "500m", "--memory", "256Mi", "--image", "nginx", "-l", "tier=front"),
        *("-e", "A=1", "-e", "FROM_HERE", "--secret-env", "PIN=canary of the launch", "-p", "80", "-p", "53/udp"),
        *("--volume", "data:/data:1Gi", "--scratch", "tmp:/scratch:64Mi", "--restart", "always", "--user", "1000"),
        *("--workdir", "/data", "--max-unavailable", "2", "--idempotency-key", "once", "--timeout", "60", "-o", "json"),
    ]
    words = ("launch", "full", *container, "--", "nginx", "-g", "daemon off;")
    first, again = [json.loads(ada.elsewhere(FROM_HERE="there")(*words).out) for _ in range(2)]
    assert first["id"] == again["id"]
    made = ada.get("/clusters/full")
    assert (made["phase"], made["instance_count"], made["max_unavailable"]) == ("running", 2, 2)
    assert (made["cpu_per_instance"], made["memory_per_instance"], made["image"]) == (0.5, 256, "nginx")
    inside = made["container"]
    assert (inside["env"], inside["secret_env"]) == ({"A": "1", "FROM_HERE": "there"}, ["PIN"])
    assert [(port["port"], port["protocol"]) for port in inside["ports"]] == [(80, "TCP"), (53, "UDP")]
    assert [(one["type"], one["name"], one["size"]) for one in inside["volumes"]] == [
        ("persistent", "data", 1024),
        ("empty", "tmp", 64),
    ]
    assert (inside["command"], inside["user"], inside["working_dir"]) == (["nginx", "-g", "daemon off;"], 1000, "/data")
    begun = ada("launch", "later", "--flavour", "launch-size", "--async", "-o", "name")
    assert "Watch it: cmpctl wait " in begun.err
    ada("clusters", "wait", "later", "--timeout", "60")
    assert ada.get("/clusters/later")["flavour"] == "launch-size"
    (place / "key.pub").write_text(_KEY)
    (place / "init").write_text("#cloud-config\n")
    keys = ("--ssh-key", f"@{place / 'key.pub'}", "--ssh-key", str(place / "key.pub"))
    machine = (*keys, "--cloud-init", f"@{place / 'init'}", "--volume", "disk:1Gi")
    ada("clusters", "create", "lab", "--type", "vm", "--cpu", "1", "--memory", "512", *machine, "-c", "name,phase")
    lab = ada.get("/clusters/lab")
    assert (lab["phase"], lab["vm"]["ssh_keys"], lab["vm"]["cloud_init"]) == ("running", [_KEY, _KEY], ["user_data"])
    assert "lab" not in ada("launch", "lab", *_SMALL, code=6).out


def looking(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    ada("launch", "shop", *_SMALL, "-l", "tier=front", "-n", "2")
    ada("launch", "shop-lab", "-t", "vm", *_SMALL)
    names = ("--no-headers", "-c", "name")
    assert ada("ps", "shop", "--sort", "name", "-t", "container", "-l", "tier=front", *names).lines == ["shop"]
    assert ada("clusters", "list", "--phase", "running", "--sort", "-name", *names).lines == ["shop-lab", "shop"]
    assert ada("ps", "--phase", "failed").out == ""
    assert ada("ps", "--shared").out == ""
    theirs = admin("ps", "--owner", ada.name, "-o", "csv", "-c", "name,owner", "--filter", "name~lab")
    assert theirs.lines == ["name,owner", f"shop-lab,{ada.name}"]
    assert ada("ps", "-w", until=lambda said: "shop-lab" in said.out).lines[0].startswith("NAME")
    shown = ada("clusters", "show", "shop", "-o", "wide", "-c", "name,ready_instances")
    assert shown.lines == ["NAME             shop", "READY_INSTANCES  2"]
    id = ada.get("/clusters/shop")["id"]
    for key in (id, "shop-l", ada.get("/clusters/shop-lab")["id"][:34]):
        assert ada("clusters", "show", key, "-o", "name").out.startswith("shop")
    assert "any of" in ada("clusters", "show", "sho", code=5).err
    assert "There is no cluster" in ada("clusters", "show", "never", code=5).err
    listed = ada("instances", "list", "shop", "--cluster", "shop", "--status", "running", "-t", "container", *_ROWS)
    assert sorted(listed.lines) == ["shop-instance-1,running", "shop-instance-2,running"]
    ada("instances", "list", "-w", "--filter", "cpu=0.1", until=lambda said: "shop-lab-instance-1" in said.out)
    one = json.loads(ada("instances", "show", "shop-instance-1", "-o", "json", "-c", "name").out)
    assert one == ada.get("/instances/shop-instance-1")
    assert "metrics-server" in ada("instances", "usage", "shop-lab", "-o", "json", "-c", "cpu", code=6).err


_ROWS = ("-o", "csv", "--no-headers", "-c", "name,status")


def changing(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    size = {"name": "change-size", "cpu": 0.3, "memory": 96}
    assert admin.request("POST", "/flavours/", json=size).status_code == 201
    ada("launch", "site", *_SMALL, "-e", "A=1", "-e", "B=2", "-l", "old=1")
    more = ("--max-unavailable", "1", "--timeout", "60", "-o", "json", "-c", "name")
    edits = ("-e", "A-", "-e", "C=3", "-l", "old-", "-l", "new=2")
    ada("clusters", "change", "site", "--image", "httpd", "--cpu", "0.2", "--memory", "80", *edits, *more)
    site = ada.get("/clusters/site")
    assert (site["image"], site["cpu_per_instance"], site["memory_per_instance"]) == ("httpd", 0.2, 80)
    assert (site["container"]["env"], site["labels"], site["phase"]) == ({"B": "2", "C": "3"}, {"new": "2"}, "running")
    ada("clusters", "change", "site", "--flavour", "change-size", "--async")
    assert ada.get("/clusters/site")["flavour"] == "change-size"
    ada("clusters", "wait", "site")
    ada("scale", "site", "3", "--timeout", "60", "-o", "name", "-c", "name")
    assert ada.get("/clusters/site")["ready_instances"] == 3
    begun = ada("clusters", "scale", "site", "--remove", "site-instance-1", "--async")
    assert "cmpctl wait" in begun.err
    ada("clusters", "wait", "site")
    left = {one["instance_name"] for one in ada.get("/clusters/site")["instances"]}
    assert left == {"site-instance-2", "site-instance-3"}
    ada("clusters", "operate", "site", "stop", "--grace", "0", "--timeout", "60")
    assert {one["status"] for one in ada.get("/clusters/site")["instances"]} == {"stopped"}
    ada("clusters", "operate", "site", "start", "--async")
    refused = ada("clusters", "operate", "site", "resume", code=1)
    assert "2 of 2 failed" in refused.err


def operating(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    ada("launch", "app", *_SMALL, "-n", "2")
    ada("launch", "guest", "-t", "vm", *_SMALL)

    def status(name: str) -> str:
        return str(ada.get(f"/instances/{name}")["status"])

    for verb, target, after in (
        (("stop", "--grace", "0", "--timeout", "60"), "app-instance-1", "stopped"),
        (("start", "--timeout", "60"), "app-instance-1", "running"),
        (("suspend", "--timeout", "60"), "app-instance-1", "suspended"),
        (("resume", "--timeout", "60"), "app-instance-1", "running"),
        (("restart", "--grace", "0", "--timeout", "60"), "app-instance-1", "running"),
        (("replace", "--timeout", "60"), "app-instance-1", "running"),
        (("reboot", "--timeout", "60"), "guest-instance-1", "running"),
        (("migrate", "--timeout", "60"), "guest-instance-1", "running"),
        (("instances", "suspend"), "guest", "suspended"),
        (("instances", "resume"), "guest", "running"),
    ):
        ada(*verb, target)
        assert status(target if "-instance" in target else f"{target}-instance-1") == after, verb
    for one, target in (
        ("stop", "app"),
        ("start", "app"),
        ("suspend", "app"),
        ("resume", "app"),
        ("restart", "app"),
        ("replace", "app"),
        ("reboot", "guest"),
        ("migrate", "guest"),
    ):
        words = ["instances"] if one not in ("suspend", "resume") else []
        begun = ada(*words, one, target, "--async").err
        id = begun.split("cmpctl wait ")[1].split()[0]
        ada("wait", id)
        kinds = [entry["kind"] for entry in ada.get("/operations/", limit=2)["items"]]
        assert kinds[0] == f"instance.{one}"
        for line in begun.splitlines()[1:]:
            ada("wait", line.split("cmpctl wait ")[1])
    kept = [(ada.get(f"/instances/{name}")["status"]) for name in ("app-instance-1", "app-instance-2")]
    assert kept == ["running", "running"]
    partly = ada("stop", "app-instance-1", "app-instance-2", "guest", "--timeout", "60")
    assert "succeeded" in partly.err
    assert [status(name) for name in ("app-instance-1", "app-instance-2", "guest-instance-1")] == ["stopped"] * 3
    assert "is stopped" in ada("suspend", "app-instance-1", code=6).err


def deleting(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    for name in ("one", "two", "three", "four", "five"):
        ada("launch", name, *_SMALL, "-n", "2", "--async")
    for name in ("one", "two", "three", "four", "five"):
        ada("clusters", "wait", name)
    assert "give --yes" in ada("rm", "one", code=2).err
    assert not ada.gone("/clusters/one")
    ada("rm", "one", "-y", "--timeout", "60")
    assert ada.gone("/clusters/one")
    ada("rm", "two-instance-1", "--yes")
    assert [one["instance_name"] for one in ada.get("/clusters/two")["instances"]] == ["two-instance-2"]
    assert "2 of 3 failed" in ada("rm", "never", "tw", "two", "-y", code=1).err
    assert ada.gone("/clusters/two")
    ada("instances", "delete", "three-instance-2", "-y", "--timeout", "60")
    assert ada.get("/clusters/three")["instance_count"] == 1
    ada("instances", "delete", "four-instance-1", "-y", "--async")
    ada("clusters", "wait", "four")
    ada("clusters", "delete", "three", "-y", "--timeout", "60")
    assert ada.gone("/clusters/three")
    begun = ada("clusters", "delete", "four", "five", "nobodys", "-y", "--async", code=1)
    assert "Error: nobodys: " in begun.err
    for line in begun.err.splitlines():
        if "cmpctl wait" in line:
            ada("wait", line.split("cmpctl wait ")[1])
    assert (ada.gone("/clusters/four"), ada.gone("/clusters/five")) == (True, True)
    ada("launch", "last", *_SMALL, "--async")
    assert "cmpctl wait" in ada("rm", "last", "-y", "--async").err


def applying(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    file = place / "blog.yaml"
    text = "name: blog\ninstance_type: container\ncpu_per_instance: 0.1\nmemory_per_instance: 64\ninstance_count: 1\n"
    file.write_text(text + "container: {secret_env: {PIN: canary of the file}}\n")
    assert ada("apply", "--file", str(file), "--dry-run").lines[0].startswith("+ blog")
    assert ada.gone("/clusters/blog")
    ada("apply", "-f", str(file), "--timeout", "60")
    assert ada.get("/clusters/blog")["phase"] == "running"
    assert ada("apply", "-f", str(file)).out == "= blog\n"
    begun = ada("apply", "-f", str(file), "--send-secrets", "--async")
    assert "container.secret_env: given anew" in begun.out
    assert "cmpctl wait" in begun.err
    ada("clusters", "wait", "blog")


SCENES = [launching, looking, changing, operating, deleting, applying]
