"""Who one is, and others: sign-ins, tokens, users, shares, transfers."""

import json
import re
import ssl
import time
import webbrowser
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from tests.cmpctl.command import Cmpctl
from tests.cmpctl.proxy import between
from tests.kube.tls import Authority

_SMALL = ("--cpu", "0.1", "--memory", "64Mi")
_PASSWORD = "a long enough password"


def signing_in_with_a_token(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    token, alone = str(ada.token), replace(ada, token=None)
    (place / "token").write_text(f"{token}\n")
    assert "You are not signed in" in alone("whoami", code=3).err
    signed = alone("login", ada.url, "--token-file", str(place / "token"))
    assert f"Signed in to {ada.url} as {ada.name} (user), profile default." in signed.err
    assert alone("whoami", "-o", "name").out == f"{ada.name}\n"
    alone("--profile", "other", "login", ada.url, "--token", "-", input=f"{token}\n")
    listed = alone("profiles", "-o", "csv", "--filter", "name~o", "-c", "current,name,username", "--no-headers").lines
    assert listed == [f"yes,other,{ada.name}"]
    alone("profiles", "use", "default")
    assert "cmpctl --profile never login" in alone("profiles", "use", "never", code=1).err
    alone("profiles", "--watch", until=lambda said: "other" in said.out)
    me = json.loads(alone("whoami", "-o", "json", "-c", "may").out)
    assert (me["username"], me["profile"], me["url"]) == (ada.name, "default", ada.url)
    alone("profiles", "forget", "other")
    assert alone("profiles", "-o", "name").lines == ["default"]
    assert alone("-q", "logout").err == ""
    assert alone("profiles", "-o", "name").out == ""
    assert ada.get("/users/me")["username"] == ada.name
    assert alone("login", ada.url, "--token", "cmp_pat_" + "x" * 43, code=3).err.startswith("Error: ")
    assert alone("profiles", "-o", "name").out == ""


def trusting_an_authority(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    authority = Authority()
    (place / "authority.pem").write_bytes(authority.certificate)
    context = authority.server_context(place)
    context.verify_mode = ssl.CERT_NONE  # it need not know who comes
    with between(ada.url, context) as proxy:
        alone, words = replace(ada, token=None), ("login", proxy.url, "--token", "-")
        assert "CMP does not answer" in alone(*words, input=f"{ada.token}\n", code=8).err
        alone(*words, "--ca-file", str(place / "authority.pem"), input=f"{ada.token}\n")
        proxy.seen.clear()
        assert alone("whoami", "-o", "name").out == f"{ada.name}\n"
        assert "GET /api/v1/users/me" in proxy.seen


def signing_in_with_a_browser(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    alone = replace(ada, token=None)
    assert admin.request("PUT", f"/users/{ada.name}/password", json={"password": _PASSWORD}).status_code == 204

    def let_in(page: str) -> bool:
        with httpx.Client(base_url=ada.url, headers={"Origin": ada.url}) as browser:
            browser.post("/login", data={"username": ada.name, "password": _PASSWORD})
            code = page.partition("user_code=")[2]
            assert browser.post("/device", data={"user_code": code, "answer": "allow"}).status_code == 200
        return True

    patient = SimpleNamespace(sleep=lambda _: time.sleep(0.2), time=time.time, monotonic=time.monotonic)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER", "one")
        patch.setattr(webbrowser, "open", let_in)
        # CMP minds only being asked twice within its five seconds.
        patch.setattr("cmpctl.commands.account.time", patient)
        alone("login", ada.url)
    assert alone("whoami", "-o", "name").out == f"{ada.name}\n"
    words = ("--profile", "narrow", "login", ada.url, "--no-browser", "--scope", "read")

    def entered(err: str) -> bool:
        found = re.search(r"enter (\S+)", err)
        return bool(found) and let_in(f"?user_code={found[1]}")  # type: ignore[index]

    alone(*words, until=lambda said: entered(said.err), typed="")
    assert alone("--profile", "narrow", "whoami", "-o", "name").out == f"{ada.name}\n"
    assert "Next: cmpctl whoami" in alone("--profile", "narrow", "launch", "no", *_SMALL, code=4).err
    assert len(ada.get("/tokens/", kind="oauth")["items"]) == 2
    alone("logout", "--all")
    assert ada.get("/tokens/", kind="oauth")["items"] == []


def minding_oneself(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    bars = ada("quota").lines
    assert bars[0].split()[0] in ("clusters", "cpu")
    assert json.loads(ada("quota", "-o", "json").out) == ada.get("/users/me/quota")
    assert admin("quota", ada.name, "-c", "strategy").out == "STRATEGY  allocated\n"
    ada("password", "--stdin", input=f"{_PASSWORD}\n")
    assert ada.get("/users/me")["has_password"]
    made = ada("tokens", "create", "ci", "--scope", "read", "--scope", "operate", "--days", "7", "-c", "token").out
    narrow = replace(ada, token=made.split()[1])
    assert narrow("whoami", "-o", "name").out == f"{ada.name}\n"
    assert "Next: cmpctl whoami" in narrow("launch", "no", *_SMALL, code=4).err
    pair = json.loads(ada("tokens", "create", "robot", "--kind", "client", "-o", "json").out)
    assert pair["client_id"]
    listed = ada("tokens", "list", "--kind", "bearer", "--filter", "name=ci", "-c", "name,scopes", "--no-headers")
    assert listed.out.split() == ["ci", "operate,", "read"]
    ada("tokens", "list", "-w", "-o", "name", until=lambda said: "robot" in said.out)
    ada("tokens", "revoke", "ci")
    ada("tokens", "revoke", pair["id"][:34])
    assert narrow("whoami", code=3).err.startswith("Error: ")
    assert {one["name"] for one in ada.get("/tokens/")["items"]} == {"first"}
    fresh = ada("tokens", "replace", "-y").out.strip()
    assert ada("whoami", code=3).out == ""
    assert replace(ada, token=fresh)("whoami", "-o", "name").out == f"{ada.name}\n"


def minding_others(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    name = f"{ada.name}-friend"
    limits = ("--cpu", "2", "--memory", "4Gi", "--instances", "5", "--clusters", "2", "--storage", "1Gi")
    made = admin(
        "users", "create", name, "--role", "viewer", *limits, "--strategy", "running", "-o", "json", "-c", "id"
    )
    user, token = admin.get(f"/users/{name}"), json.loads(made.out)["token"]
    assert (user["role"], user["quota_cpu"], user["quota_memory"], user["quota_instances"]) == ("viewer", 2, 4096, 5)
    assert (user["quota_clusters"], user["quota_storage"], user["quota_strategy"]) == (2, 1024, "running")
    admin("admin", "users", "create", f"{name}-bot", "--service")
    assert admin.get(f"/users/{name}-bot")["kind"] == "service"
    more = ("--cpu", "4", "--memory", "8192", "--instances", "6", "--clusters", "3", "--storage", "2Gi")
    admin("users", "change", name, "--role", "user", *more, "--strategy", "allocated")
    user = admin.get(f"/users/{name}")
    assert (user["role"], user["quota_cpu"], user["quota_memory"], user["quota_instances"]) == ("user", 4, 8192, 6)
    assert (user["quota_clusters"], user["quota_storage"], user["quota_strategy"]) == (3, 2048, "allocated")
    assert admin(
        "users", "list", name, "--role", "user", "--no-headers", "-c", "name", "--filter", f"name={name}"
    ).lines == [name]
    assert admin("users", "list", name, "--near", "50").out == ""
    admin("users", "list", "-w", "--filter", f"name={name}", "-o", "wide", until=lambda said: name in said.out)
    assert admin("users", "show", name, "-o", "csv", "-c", "name,state").lines == ["name,state", f"{name},enabled"]
    friend = replace(ada, token=token, name=name)
    friend("launch", "kept", *_SMALL)
    admin("users", "disable", name, "--stop")
    assert friend("whoami", code=3).out == ""
    assert admin.get(f"/users/{name}")["disabled"]
    admin("users", "enable", name)
    assert friend("whoami", "-o", "name").out == f"{name}\n"
    admin("users", "password", name, "--stdin", input=f"{_PASSWORD}\n")
    assert admin.get(f"/users/{name}")["has_password"]
    admin("users", "password", name, "--remove")
    assert not admin.get(f"/users/{name}")["has_password"]
    linked = json.loads(
        admin("users", "identities", "link", name, "https://sso.example.org", name, "-o", "json", "-c", "id").out
    )
    listed = admin("users", "identities", "list", name, "--no-headers", "-c", "subject", "--filter", f"subject={name}")
    assert listed.lines == [name]
    admin("users", "identities", "list", name, "-o", "name", "-w", until=lambda said: linked["id"] in said.out)
    admin("users", "identities", "unlink", name, linked["id"])
    assert admin.get(f"/users/{name}/identities") == {"items": [], "next_cursor": None}
    admin("tokens", "create", "theirs", "--user", name, "-o", "name")
    assert admin("tokens", "list", "--user", name, "-o", "name").lines == ["first", "theirs"]
    admin("tokens", "revoke", "theirs", "--user", name)
    admin("tokens", "replace", "--user", name, "--yes")
    assert friend("whoami", code=3).out == ""
    assert "clusters" in admin("users", "delete", name, "-y", code=6).err
    admin("users", "delete", name, "--clusters", "transfer", "--to", ada.name, "-y")
    assert admin.gone(f"/users/{name}")
    assert ada.get("/clusters/kept")["owner"] == ada.name
    leaver = f"{ada.name}-leaver"
    token = json.loads(admin("users", "create", leaver, "-o", "json").out)["token"]
    replace(ada, token=token)("launch", "left", *_SMALL)
    assert "When that is done" in admin("users", "delete", leaver, "-y", "--clusters", "delete", "--async").err
    admin("users", "delete", leaver, "-y", "--clusters", "delete", "--timeout", "60")
    assert admin.gone(f"/users/{leaver}")


def sharing(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    made = json.loads(admin("users", "create", f"{ada.name}-bob", "-o", "json").out)
    bob = replace(ada, token=made["token"], name=made["username"])
    ada("launch", "team", *_SMALL)
    ada("share", "add", "team", bob.name)
    ada("share", "add", "team", bob.name, "operate")
    assert bob("ps", "--shared", "-c", "name,access", "--no-headers").out.split() == ["team", "operate"]
    assert ada(
        "share", "list", "team", "--no-headers", "-c", "user,level", "--filter", "level=operate"
    ).out.split() == [
        bob.name,
        "operate",
    ]
    ada("share", "list", "team", "-w", "-o", "name", until=lambda said: bob.name in said.out)
    assert ada("share", "show", "team", bob.name, "-o", "csv", "-c", "level").lines == ["level", "operate"]
    ada("share", "remove", "team", bob.name)
    assert bob("ps", "--shared").out == ""
    offered = ada("transfers", "offer", "team", bob.name)
    id = offered.err.split("accept ")[1].strip()
    assert bob("transfers", "list", "--no-headers", "-c", "cluster,to", "--filter", "cluster=team").out.split() == [
        "team",
        bob.name,
    ]
    bob("transfers", "list", "-w", "-o", "name", until=lambda said: id in said.out)
    assert bob("transfers", "show", "team", "-o", "csv", "-c", "from").lines == ["from", ada.name]
    bob("transfers", "accept", id)
    assert bob.get("/clusters/team")["owner"] == bob.name
    bob("transfers", "offer", "team", ada.name)
    ada("transfers", "decline", "team")
    assert bob.get("/transfers/")["items"] == []
    admin("transfers", "offer", f"team@{bob.name}", ada.name, "--now")
    assert ada.get("/clusters/team")["owner"] == ada.name


SCENES = [
    signing_in_with_a_token,
    trusting_an_authority,
    signing_in_with_a_browser,
    minding_oneself,
    minding_others,
    sharing,
]
