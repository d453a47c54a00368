"""From what is typed to what the API takes: sizes, labels, environments, ports, volumes."""

import json
import os
import re
from pathlib import Path
from typing import Any

import click


def cores(text: str) -> float | str:
    """0.5 is a number; 500m stays as it is."""
    try:
        return float(text)
    except ValueError:
        return text


def amount(text: str) -> int | str:
    """512 is a number of MiB; 512Mi stays as it is."""
    return int(text) if text.isdigit() else text


def in_cores(value: Any) -> Any:
    """Cores, to compare."""
    return int(value[:-1]) / 1000 if isinstance(value, str) and value.endswith("m") and value[:-1].isdigit() else value


def in_mib(value: Any) -> Any:
    """MiB, to compare."""
    for unit, size in (("Mi", 1), ("Gi", 1024)):
        if isinstance(value, str) and value.endswith(unit) and value[: -len(unit)].isdigit():
            return int(value[: -len(unit)]) * size
    return value


def pairs(words: tuple[str, ...], *, here: bool = False) -> dict[str, str]:
    """KEY=VALUE each. `here`: KEY alone takes its value from this process's environment."""
    found = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign and here and key in os.environ:
            value = os.environ[key]
        elif not sign:
            where = ", and there is no such variable here" if here else ""
            raise click.UsageError(f"{word!r} is not KEY=VALUE{where}.")
        found[key] = value
    return found


def changes(words: tuple[str, ...]) -> dict[str, str | None]:
    """KEY=VALUE each, or KEY- to take one away."""
    gone = {word[:-1]: None for word in words if "=" not in word and word.endswith("-")}
    return gone | pairs(tuple(word for word in words if "=" in word or not word.endswith("-")))


def contents(text: str) -> str:
    """@FILE is what the file holds."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).expanduser().read_text().strip()
    except OSError as error:
        raise click.UsageError(f"{text[1:]} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{text[1:]} is no text.") from error


def public_key(word: str) -> str:
    """A file that is there, @FILE, a whole key, or the name of a saved one. A private key is never sent."""
    if " " in word or not os.path.isfile(os.path.expanduser(word)):
        return public(contents(word))
    return public(contents(f"@{word}"))


def public(key: str) -> str:
    if re.search("PRIVATE KEY|Private-Lines", key):
        raise click.UsageError("That is a private key: keep it to yourself. Give the file that ends in .pub.")
    return key


def wish(given: dict[str, Any]) -> dict[str, Any]:
    """A ClusterCreate from the options of `launch`."""
    kind = given["instance_type"]
    found = {
        "name": given["name"],
        "instance_type": kind,
        "instance_count": given["count"],
        "labels": pairs(given["label"]) or None,
        "max_unavailable": given["max_unavailable"],
        **_size(given),
        kind: _vm(given) if kind == "vm" else _container(given),
    }
    return {key: value for key, value in found.items() if value not in (None, {})}


def change(given: dict[str, Any]) -> dict[str, Any]:
    """A ClusterChange from the options of `clusters change`."""
    found = {"labels": changes(given["label"]), "max_unavailable": given["max_unavailable"], **_size(given)}
    if given["env"]:
        found["container"] = {"env": changes(given["env"])}
    return {key: value for key, value in found.items() if value not in (None, {})}


def short(value: Any) -> str:
    """A setting as one line of a table."""
    return value if isinstance(value, str) else json.dumps(value)


def _size(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "cpu_per_instance": cores(given["cpu"]) if given["cpu"] else None,
        "memory_per_instance": amount(given["memory"]) if given["memory"] else None,
        "flavour": given["flavour"],
        "image": given["image"],
    }


def _container(given: dict[str, Any]) -> dict[str, Any]:
    for name in ("ssh_key", "cloud_init"):
        if given[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for VMs: give --type vm.")
    found = {
        "command": list(given["command"]) or None,
        "env": pairs(given["env"], here=True),
        "secret_env": pairs(given["secret_env"], here=True),
        "ports": [_port(word) for word in given["port"]],
        "volumes": [*map(_volume, given["volume"]), *map(_scratch, given["scratch"])],
        "restart_policy": given["restart"],
        "user": given["user"],
        "working_dir": given["workdir"],
    }
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def _vm(given: dict[str, Any]) -> dict[str, Any]:
    for name in ("command", "env", "secret_env", "scratch", "restart", "user", "workdir"):
        if given[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for containers. VMs take --cloud-init.")
    found: dict[str, Any] = {
        "ssh_keys": [public_key(word) for word in given["ssh_key"]],
        "ports": [_port(word) for word in given["port"]],
        "volumes": [_disk(word) for word in given["volume"]],
    }
    if given["cloud_init"]:
        found["cloud_init"] = {"user_data": contents(given["cloud_init"])}
    return {key: value for key, value in found.items() if value != []}


def _port(word: str) -> dict[str, Any]:
    number, _, protocol = word.partition("/")
    if not number.isdigit():
        raise click.UsageError(f"--port is a number, such as 80 or 53/udp, not {word!r}.")
    return {"port": int(number), "protocol": protocol.upper() or "TCP"}


def _volume(word: str) -> dict[str, Any]:
    name, _, rest = word.partition(":")
    path, _, size = rest.rpartition(":")
    if not path:
        raise click.UsageError(f"--volume is NAME:PATH:SIZE, such as data:/var/lib/data:10Gi, not {word!r}.")
    return {"type": "persistent", "name": name, "mount_path": path, "size": amount(size)}


def _scratch(word: str) -> dict[str, Any]:
    name, _, rest = word.partition(":")
    path, _, size = rest.partition(":")
    return {"type": "empty", "name": name, "mount_path": path} | ({"size": amount(size)} if size else {})


def _disk(word: str) -> dict[str, Any]:
    name, _, size = word.partition(":")
    if not size:
        raise click.UsageError(f"A VM's --volume is NAME:SIZE, such as data:10Gi, not {word!r}: the guest mounts it.")
    return {"type": "persistent", "name": name, "size": amount(size)}
