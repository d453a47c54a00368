"""SSH keys under a name: saved, refused, deleted; and a VM's wish holds the keys themselves."""

import asyncio
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.models import SshKey
from app.rules import ssh_keys as rules
from app.services import ssh_keys
from tests.api.running import Api, Caller, public_key

_COMPRESSED = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAh"
    "A5Dq2VlXRPzar1iRIPQ7294MiuHruw2rqp9s+mP7ZtAL"
)
"""Its point is compressed, which OpenSSH does not take."""


async def saved(caller: Caller, name: str) -> str:
    key = public_key()
    answer = await caller.post("/ssh-keys/", json={"name": name, "public_key": key})
    assert answer.status_code == 201, answer.text
    return key


async def keys_of(caller: Caller, cluster: str) -> list[str]:
    return list((await caller.get(f"/clusters/{cluster}")).json()["vm"]["ssh_keys"])


async def test_a_key_is_saved_found_and_deleted_and_the_trails_say_so(api: Api) -> None:
    user, key = await api.user(), public_key()
    made = (await user.post("/ssh-keys/", json={"name": "laptop", "public_key": f"{key}\n"})).json()
    assert (made["name"], made["public_key"]) == ("laptop", key)
    for by in (made["id"], "laptop"):
        assert (await user.get(f"/ssh-keys/{by}")).json() == made
    await saved(user, "desk")
    first = (await user.get("/ssh-keys/?limit=1&sort=name")).json()
    rest = (await user.get(f"/ssh-keys/?limit=1&sort=name&cursor={first['next_cursor']}")).json()
    assert [row["name"] for row in first["items"] + rest["items"]] == ["desk", "laptop"]
    assert rest["next_cursor"] is None
    assert (await user.delete("/ssh-keys/laptop")).status_code == 204
    assert (await user.delete(f"/ssh-keys/{made['id']}")).status_code == 404
    happened = (await user.get("/events/history?limit=10")).json()["items"]
    noted = [(row["kind"], row["message"]) for row in happened if "laptop" in (row["message"] or "")]
    named = f"laptop ({made['fingerprint']})"
    assert sorted(noted) == [("ssh_key.created", named), ("ssh_key.deleted", named)]
    trail = (await user.get("/audit/?limit=10")).json()["items"]
    written = [(row["actor"], row["method"], row["path"]) for row in trail]
    assert (user.name, "DELETE", "/api/v1/ssh-keys/laptop") in written
    assert (user.name, "POST", "/api/v1/ssh-keys/") in written


async def test_one_name_and_one_key_once_and_no_more_than_a_user_may_have(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, other = await api.user(), await api.user()
    key = await saved(user, "laptop")
    again = await user.post("/ssh-keys/", json={"name": "laptop", "public_key": public_key()})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    bare = key.rpartition(" ")[0]
    same = await user.post("/ssh-keys/", json={"name": "desk", "public_key": f"{bare} another comment"})
    assert (same.status_code, "called laptop" in same.json()["detail"]) == (409, True)
    assert (await other.post("/ssh-keys/", json={"name": "laptop", "public_key": key})).status_code == 201
    monkeypatch.setattr(ssh_keys, "MOST", 3)
    bodies = [{"name": f"key-{n}", "public_key": public_key()} for n in range(6)]
    answers = await asyncio.gather(*(user.post("/ssh-keys/", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 4


async def test_what_is_no_good_key_is_refused_with_the_reason_and_never_repeated(api: Api) -> None:
    user = await api.user()
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    weak = rsa.generate_private_key(65537, 1024).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    whole = public_key()
    for sent, reason in (
        (private, "this is a private key"),
        (_COMPRESSED, "no whole SSH key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAA\n", "this is a private key"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACB ada", "DSA"),
        (weak.decode(), "2048"),
        (whole[:60], "no whole SSH key"),
        (whole.replace(" ada", "=== ada"), "no whole SSH key"),
        (whole.replace("ssh-ed25519 ", "ssh-rsa "), "no whole SSH key"),
        (f"{whole}\n{whole}", "as ssh-keygen writes it"),
        (f'command="id" {whole}', "as ssh-keygen writes it"),
        ("hello", "as ssh-keygen writes it"),
    ):
        answer = await user.post("/ssh-keys/", json={"name": "laptop", "public_key": sent})
        assert (answer.status_code, reason in answer.json()["detail"]) == (422, True), (sent, answer.text)
        assert all(line not in answer.text for line in sent.splitlines() if len(line) > 20)
    for name in ("", "Laptop", "a b", "a" * 41, "a-", "abcdef01-0000-0000-0000-000000000000"):
        answer = await user.post("/ssh-keys/", json={"name": name, "public_key": whole})
        assert answer.status_code == 422, name


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen")
    for kind in (["ed25519"], ["rsa", "-b", "2048"], ["ecdsa", "-b", "256"]):
        file = tmp_path / kind[0]
        subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "a b", "-f", file], check=True)
        said = subprocess.run(["ssh-keygen", "-lf", f"{file}.pub"], check=True, capture_output=True, text=True).stdout
        key = rules.checked(Path(f"{file}.pub").read_text().strip())
        assert rules.fingerprint(key) == said.split()[1]


async def test_a_vm_is_given_the_keys_that_its_names_stood_for(api: Api) -> None:
    user, typed = await api.user(), public_key("typed")
    laptop, desk = await saved(user, "laptop"), await saved(user, "desk")
    vm = {"ssh_keys": ["laptop", typed, laptop]}
    made = await user.cluster("named", instance_type="vm", vm=vm)
    assert made["vm"]["ssh_keys"] == [laptop, typed]
    assert (await user.delete("/ssh-keys/laptop")).status_code == 204
    assert await keys_of(user, "named") == [laptop, typed]
    changed = await user.patch("/clusters/named", json={"vm": {"ssh_keys": ["desk"]}})
    assert (changed.status_code, changed.json()["vm"]["ssh_keys"]) == (200, [desk])


async def test_names_are_the_callers_own_and_an_unknown_one_makes_nothing(api: Api) -> None:
    owner, manager = await api.user(), await api.user()
    await saved(owner, "laptop")
    mine = await saved(manager, "desk")
    cluster = await owner.cluster("shared", instance_type="vm", vm={"ssh_keys": ["laptop"]})
    shared = f"/clusters/{cluster['id']}"
    assert (await owner.put(f"{shared}/grants/{manager.name}", json={"level": "manage"})).status_code == 200
    for answer in (
        await manager.patch(shared, json={"vm": {"ssh_keys": [mine, "laptop"]}}),
        await manager.post("/clusters/", json=_vm("theirs", [mine, "laptop"])),
        await manager.post("/clusters/", json=_vm("theirs", [mine, "laptop"]), headers={"Idempotency-Key": "k"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert answer.json()["detail"].startswith("vm.ssh_keys.1: you have no SSH key of that name")
        assert "cmpctl ssh-keys list" in answer.json()["detail"]
    assert (await manager.used())["clusters"] == 0
    assert (await manager.patch(shared, json={"vm": {"ssh_keys": ["desk"]}})).json()["vm"]["ssh_keys"] == [mine]
    neither = await manager.post("/clusters/", json=_vm("theirs", ["Not A Key"]))
    assert "or the name of one that you saved" in neither.json()["detail"]


async def test_keys_go_with_their_user(api: Api) -> None:
    user = await api.user()
    await saved(user, "laptop")
    assert (await api.admin.delete(f"/users/{user.id}")).status_code == 204
    async with api.database.reading() as session:
        assert await session.scalar(sa.select(sa.func.count()).where(SshKey.user_id == uuid.UUID(user.id))) == 0


def _vm(name: str, keys: list[str]) -> dict[str, object]:
    size = {"cpu_per_instance": 1, "memory_per_instance": 512}
    return {"name": name, "instance_type": "vm", "vm": {"ssh_keys": keys}, **size}
