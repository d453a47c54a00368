"""SSH keys under a name: saved from a file and from stdin, given to VMs by name."""

import contextlib
import json
from pathlib import Path

from tests.api.running import public_key
from tests.cmpctl.command import Cmpctl


def saving_ssh_keys(admin: Cmpctl, ada: Cmpctl, place: Path) -> None:
    laptop, desk = public_key("ada@laptop"), public_key("ada@desk")
    (place / "laptop.pub").write_text(f"{laptop}\n")
    (place / "laptop").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n")
    made = json.loads(ada("ssh-keys", "add", "laptop", str(place / "laptop.pub"), "-o", "json", "-c", "name").out)
    assert (made["public_key"], made["fingerprint"][:7]) == (laptop, "SHA256:")
    ada("ssh-keys", "add", "desk", input=f"{desk}\n")
    assert "called desk" in ada("ssh-keys", "add", "again", "-", input=desk, code=6).err
    (place / "laptop.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\ncanary\n")
    (place / "laptop.der").write_bytes(b"\x30\x82\xff")
    for file, says in (("laptop.ppk", "private key"), ("laptop.der", "no text"), ("never.pub", "cannot be read")):
        assert says in ada("ssh-keys", "add", "secret", str(place / file), code=2).err
    for words in (("ssh-keys", "add", "secret"), ("launch", "lab", "-t", "vm", "--ssh-key")):
        refused = ada(*words, str(place / "laptop"), code=2)
        assert ("ends in .pub" in refused.err, "canary" in refused.err) == (True, False)
    listed = ada("ssh-keys", "list", "-o", "csv", "--no-headers", "-c", "name,kind", "--filter", "name=desk")
    assert listed.lines == ["desk,ssh-ed25519"]
    ada("ssh-keys", "list", "-w", "-o", "name", until=lambda said: "desk" in said.out)
    assert ada("ssh-keys", "show", "desk", "-o", "csv", "-c", "fingerprint").lines[1].startswith("SHA256:")
    assert "no such SSH key" in admin("ssh-keys", "show", made["id"], code=5).err
    size = ("--cpu", "0.1", "--memory", "64Mi", "--async")
    unknown = ada("launch", "lab", "-t", "vm", *size, "--ssh-key", "laptop", "--ssh-key", "never", code=1).err
    assert "vm.ssh_keys.1" in unknown
    assert "cmpctl ssh-keys list" in unknown
    with contextlib.chdir(place):  # where there is a file of that name
        assert "ends in .pub" in ada("launch", "lab", "-t", "vm", *size, "--ssh-key", "laptop", code=2).err
    ada("launch", "lab", "-t", "vm", *size, "--ssh-key", "laptop", "--ssh-key", "desk")
    wish = {"name": "lab", "instance_type": "vm", "vm": {"ssh_keys": ["laptop", "desk"]}}
    assert ada("apply", "-f", "-", input=json.dumps(wish)).out == "= lab\n"
    wish["vm"] = {"ssh_keys": ["desk"]}
    assert "ssh_keys" in ada("apply", "-f", "-", "--dry-run", input=json.dumps(wish)).out
    assert "VMs that were given it keep it" in ada("ssh-keys", "delete", "laptop").err
    assert ada("ssh-keys", "list", "-o", "name").lines == ["desk"]
    assert ada.get("/clusters/lab")["vm"]["ssh_keys"] == [laptop, desk]


SCENES = [saving_ssh_keys]
