"""What every command is handed: the client of the chosen profile, and how to speak to the person."""

import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cmpctl import VERSION
from cmpctl.profiles import ProfileCredentials, Profiles, folder

if TYPE_CHECKING:
    from cmpctl.client.client import Client

_COMPARED = 12 * 3600.0


class NotSignedIn(click.ClickException):
    exit_code = 3


class Session:
    """stdout is data, stderr is talk."""

    def __init__(self, profile: str | None, quiet: bool, debug: bool) -> None:
        self.profiles = Profiles()
        self._named = profile
        self.quiet = quiet
        self.debug = debug

    @property
    def profile(self) -> str:
        return self._named or os.environ.get("CMPCTL_PROFILE") or self.profiles.current

    @property
    def url(self) -> str:
        """Where CMP is. Ends the command where nobody said so yet."""
        found = os.environ.get("CMPCTL_URL") or (self.profiles.get(self.profile) or {}).get("url")
        if not found:
            raise NotSignedIn(
                f"You are not signed in (profile {self.profile}).\nNext: cmpctl login URL, such as http://127.0.0.1:8000;"
                "\n      or set CMPCTL_URL and CMPCTL_TOKEN."
            )
        return str(found)

    @functools.cached_property
    def client(self) -> "Client":
        client = self.client_for(self.url)
        self._compare_versions(client)
        return client

    def client_for(self, url: str, **how: Any) -> "Client":
        from cmpctl.client.client import Client

        profile = self.profiles.get(self.profile) or {}
        if "credentials" not in how and "token" not in how:
            token = os.environ.get("CMPCTL_TOKEN")
            if token or os.environ.get("CMPCTL_URL"):
                how["token"] = token
            else:
                how["credentials"] = ProfileCredentials(self.profiles, self.profile)
        ca_file = how.pop("ca_file", None) or profile.get("ca_file")
        if ca_file:
            import ssl

            how["verify"] = ssl.create_default_context(cafile=ca_file)
        return Client(url, **how)

    def _compare_versions(self, client: "Client") -> None:
        """Says where CMP is older or newer than this; asked twice a day at most. What both know works all the same."""
        from cmpctl.client.core import Call
        from cmpctl.client.errors import CmpError

        path = folder() / "versions.json"
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        if time.time() - known.get(self.url, 0) < _COMPARED:
            return
        patience, client.patience = client.patience, 0.0
        try:
            theirs = str(client.send(Call("GET", "/health", timeout=3.0))["version"])
        except (CmpError, KeyError, TypeError):
            return  # the command itself says better what is wrong
        finally:
            client.patience = patience
        if theirs.split(".")[:2] != VERSION.split(".")[:2]:
            age = "older" if _numbers(theirs) < _numbers(VERSION) else "newer"
            self.say(f"CMP at {self.url} is {age} ({theirs}) than this cmpctl ({VERSION}): what only one knows fails.")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(known | {self.url: time.time()}))

    def say(self, words: str) -> None:
        if not self.quiet:
            click.echo(words, err=True)

    def confirm(self, words: str, name: str, yes: bool) -> None:
        """Asks for the name of what is to be destroyed; ends the command where it is not given."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise click.UsageError(f"{words} Not asked, as this is no terminal: give --yes if you mean it.")
        if click.prompt(f"{words}\nType {name} to go on", default="", show_default=False, err=True) != name:
            raise click.ClickException("Nothing was done.")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def pass_session(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the session, before what else it takes."""
    return click.make_pass_decorator(Session)(command)
