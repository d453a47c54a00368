"""Where CMP is and who one is there: profiles, kept in a file that only its owner can read."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cmpctl.client.credentials import Credentials

DEFAULT = "default"


def folder() -> Path:
    """CMPCTL_HOME, or the place for settings that the system has."""
    return Path(os.environ.get("CMPCTL_HOME") or click.get_app_dir("cmpctl"))


class Profiles:
    """All of them; each is `url`, and `token` or `refresh_token`, `access_token`, `expires_at`, and `ca_file`."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or folder() / "profiles.json"

    def read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except FileNotFoundError:
            found = {"current": DEFAULT, "profiles": {}}
        return found

    def get(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.read()["profiles"].get(name)
        return found

    @property
    def current(self) -> str:
        return str(self.read()["current"])

    def names(self) -> list[str]:
        return sorted(self.read()["profiles"])

    def use(self, name: str) -> None:
        with self.locked():
            self._write(self.read() | {"current": name})

    def put(self, name: str, profile: dict[str, Any]) -> None:
        with self.locked():
            self._put(name, profile)

    def remove(self, name: str) -> None:
        with self.locked():
            found = self.read()
            found["profiles"].pop(name, None)
            self._write(found)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time changes the file."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._path.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _put(self, name: str, profile: dict[str, Any]) -> None:
        found = self.read()
        found["profiles"][name] = profile
        self._write(found)

    def _write(self, found: dict[str, Any]) -> None:
        import tempfile

        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)
        with os.fdopen(descriptor, "w") as file:
            json.dump(found, file, indent=1)
        Path(temporary).replace(self._path)


class ProfileCredentials(Credentials):
    """A profile's sign-in: what is renewed is kept, and what another process renewed is found."""

    def __init__(self, profiles: Profiles, name: str) -> None:
        self._profiles = profiles
        self._name = name
        super().__init__(None)
        self._load()

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self._profiles.locked():
            self._load()
            yield

    def renew(self, answer: Any) -> None:
        super().renew(answer)
        tokens = {
            "access_token": self.bearer,
            "refresh_token": self.refresh_token,
            "expires_at": self.expires_at,
        }
        self._save(tokens)

    def end(self) -> None:
        super().end()
        self._save({})

    def _load(self) -> None:
        profile = self._profiles.get(self._name) or {}
        self.bearer = profile.get("token") or profile.get("access_token")
        self.refresh_token = profile.get("refresh_token")
        self.expires_at = profile.get("expires_at", 0.0)

    def _save(self, tokens: dict[str, Any]) -> None:
        profile = self._profiles.get(self._name) or {}
        kept = {key: value for key, value in profile.items() if key in ("url", "ca_file", "username")}
        self._profiles._put(self._name, kept | tokens)
