"""What there is to choose from, what happened, how the platform is, and what is beside the nouns."""

import json
from pathlib import Path

import httpx

from cmpctl import VERSION
from tests.cmpctl.command import Cmpctl

_SMALL = ("--cpu", "0.1", "--memory", "64Mi")


def the_catalogue(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    said = ("--description", "for tests", "--deprecated", "use another", "--enabled", "--no-default")
    vms = ("--instancetype", "u1small", "--preference", "linux")
    made = admin(
        "flavours",
        "create",
        "guests",
        "--cpu",
        "1",
        "--memory",
        "1Gi",
        "-t",
        "vm",
        *vms,
        *said,
        "-o",
        "json",
        "-c",
        "cpu",
    )
    assert json.loads(made.out) == admin.get("/flavours/guests")
    assert admin.get("/flavours/guests")["instancetype"] == "u1small"
    admin(
        "flavours",
        "create",
        "boxes",
        "--cpu",
        "250m",
        "--memory",
        "128",
        "--runtime-class",
        "gvisor",
        "-t",
        "container",
        "--default",
        "--disabled",
    )
    boxes = admin.get("/flavours/boxes")
    assert (boxes["cpu"], boxes["runtime_class"], boxes["default"], boxes["enabled"]) == (0.25, "gvisor", True, False)
    admin(
        "flavours", "change", "boxes", "--no-default", "--enabled", "--description", "small ones", "--deprecated", "old"
    )
    assert admin.get("/flavours/boxes")["description"] == "small ones"
    admin("flavours", "change", "boxes", "--default", "--disabled", "--deprecated", "")
    assert admin.get("/flavours/boxes")["deprecated"] is None
    listed = admin("flavours", "list", "-t", "vm", "--no-headers", "-c", "name,cpu", "--filter", "name=guests")
    assert listed.out.split() == ["guests", "1"]
    admin("flavours", "list", "-w", "-o", "name", until=lambda said: "guests" in said.out)
    assert admin("flavours", "show", "guests", "-o", "csv", "-c", "memory").lines == ["memory", "1Gi"]
    for name in ("guests", "boxes"):
        admin("flavours", "delete", name)
        assert admin.gone(f"/flavours/{name}")
    admin("images", "create", "web", "nginx:1.27", "-t", "container", *said, "-o", "json", "-c", "name")
    assert admin.get("/images/web")["reference"] == "nginx:1.27"
    admin("images", "create", "disk", "demo:1", "--type", "vm", "--default", "--disabled")
    assert not admin.get("/images/disk")["enabled"]
    admin(
        "images",
        "change",
        "web",
        "--reference",
        "nginx:1.28",
        "--no-default",
        "--disabled",
        "--description",
        "new",
        "--deprecated",
        "",
    )
    web = admin.get("/images/web")
    assert (web["reference"], web["enabled"], web["description"], web["deprecated"]) == (
        "nginx:1.28",
        False,
        "new",
        None,
    )
    admin("images", "change", "web", "--enabled", "--default")
    assert ada("images", "list", "-t", "container", "--no-headers", "-c", "name", "--filter", "name=web").lines == [
        "web"
    ]
    ada("images", "list", "-w", "-o", "name", until=lambda said: "web" in said.out)
    assert ada("images", "show", "web", "-o", "csv", "-c", "reference").lines == ["reference", "nginx:1.28"]
    for name in ("web", "disk"):
        admin("images", "delete", name)
        assert admin.gone(f"/images/{name}")
    admin("policy", "change", "--no-custom-sizes", "--allow-image", "nginx")
    assert json.loads(ada("policy", "-o", "json", "-c", "allowed images").out) == admin.get("/policy/")
    assert admin.get("/policy/") == {"custom_sizes": False, "allowed_images": ["nginx"]}
    admin("policy", "change", "--custom-sizes", "--allow-image", "")
    assert admin.get("/policy/") == {"custom_sizes": True, "allowed_images": []}


def what_happened(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    ada("launch", "seen", *_SMALL)
    ada("stop", "seen-instance-1")
    done = (
        "--status",
        "succeeded",
        "--kind",
        "cluster.create",
        "--cluster",
        "seen",
        "-n",
        "5",
        "--no-headers",
        "-o",
        "name",
    )
    id = ada.get("/clusters/seen")["operation"]["id"]
    assert len(ada("operations", "list", *done).lines) == 1
    everyones = admin("operations", "list", "--everyones", "--filter", f"by={ada.name}", "-c", "kind", "--no-headers")
    assert everyones.lines == ["instance.stop", "cluster.create"]
    ada("operations", "list", "-w", until=lambda said: "cluster.create" in said.out)
    assert json.loads(ada("operations", "show", id[:34], "-o", "json", "-c", "id").out)["id"] == id
    ada("operations", "wait", id, "--timeout", "60")
    past = ada(
        "events",
        "--cluster",
        "seen",
        "--last",
        "100",
        "--no-headers",
        "-o",
        "csv",
        "-c",
        "kind",
        "--filter",
        "kind~created",
    )
    assert past.lines[-1] == "cluster.created"
    first, *later = [one["id"] for one in ada.get("/events/history", sort="created_at")["items"]]
    followed = ada("events", "-f", "--after", str(first), "-o", "json", until=lambda said: str(later[-1]) in said.out)
    assert [json.loads(line)["id"] for line in followed.lines] == later
    assert admin("events", "--everyones", "-n", "500", "--filter", f"by={ada.name}", "-o", "name").out
    ada("events", "-w", until=lambda said: "cluster.created" in said.out)
    request = next(one for one in ada.get("/audit/")["items"] if one["path"] == "/api/v1/clusters/")
    times = ("--since", "2020-01-01T00:00:00Z", "--until", "2120-01-01T00:00:00Z")
    about = ("--method", "POST", "--outcome", "done", "--request-id", request["request_id"], *times)
    assert ada("audit", "list", "-n", "5", *about, "-o", "name", "--filter", "who=" + ada.name).lines == [request["id"]]
    ada("audit", "list", "-w", "--no-headers", "-c", "path", until=lambda said: "/api/v1/clusters/" in said.out)
    theirs = admin("audit", "list", "--everyones", "--actor", ada.name, "-o", "name")
    assert request["id"] in theirs.lines
    exported = admin("audit", "export", "--everyones", "--actor", ada.name, *about)
    assert [json.loads(line)["id"] for line in exported.lines] == [request["id"]]
    assert json.loads(admin("audit", "verify", "-o", "json", "-c", "entries").out)["broken_at"] is None


def the_platform(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    parts = admin("admin", "health", "--no-headers", "-c", "state", "--filter", "part=database").lines
    assert parts == ["ok"]
    admin("admin", "health", "-w", "-o", "name", until=lambda said: "database" in said.out)
    report = json.loads(admin("admin", "report", "-o", "json").out)
    assert all(one["holds"] for one in report["invariants"])
    assert len(report["workers"]) == 1
    assert admin("admin", "report", "-c", "at clusters").out.startswith("AT CLUSTERS")
    ada("admin", "report", code=4)

    def keys() -> list[str]:
        return [key["kid"] for key in httpx.get(f"{admin.url}/oauth/jwks.json").json()["keys"]]

    before = keys()
    admin("admin", "keys", "rotate")
    assert len(keys()) == len(before) + 1
    admin("admin", "keys", "rotate", "--withdraw")
    assert len(keys()) == 1
    assert json.loads(admin("admin", "keys", "reseal", "-o", "json", "-c", "resealed").out)["unreadable"] == 0


def beside(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    assert ada("--version").out == f"cmpctl, version {VERSION}\n"
    assert json.loads(ada("api", "users/me").out) == ada.get("/users/me")
    (place / "body").write_text(json.dumps({"name": "raw"}))
    made = ada("api", "-i", "/api/v1/tokens/", "-d", f"@{place / 'body'}")
    assert made.err.startswith("HTTP 201\n")
    id = json.loads(made.out)["id"]
    assert json.loads(ada("api", "tokens/", "-q", "sort=-created_at").out)["items"][0]["id"] == id
    ada("api", "-X", "delete", f"tokens/{id}")
    assert [one["name"] for one in ada.get("/tokens/")["items"]] == ["first"]
    assert "not JSON" in ada("api", "tokens/", "-d", "-", input="{", code=2).err
    both = json.loads(ada("version", "--json").out)
    assert both["cmpctl"] == VERSION
    assert ada("version").lines[0] == f"cmpctl {VERSION}"
    assert "GET" in ada("--debug", "whoami").err
    for shell in ("bash", "zsh", "fish"):
        assert "_CMPCTL_COMPLETE" in ada("completion", shell).out


SCENES = [the_catalogue, what_happened, the_platform, beside]
