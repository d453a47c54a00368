"""What every command is handed: the client of the chosen profile, and how to speak to the person."""

import functools
import os
import ssl
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cmpctl.profiles import ProfileCredentials, Profiles

if TYPE_CHECKING:
    from cmpctl.client.client import Client


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
            raise click.UsageError(
                f"There is no profile {self.profile!r} yet.\nNext: cmpctl login http://127.0.0.1:8000 "
                "(or wherever your CMP is), or set CMPCTL_URL and CMPCTL_TOKEN."
            )
        return str(found)

    @functools.cached_property
    def client(self) -> "Client":
        return self.client_for(self.url)

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
            how["verify"] = ssl.create_default_context(cafile=ca_file)
        return Client(url, **how)

    def say(self, words: str) -> None:
        if not self.quiet:
            click.echo(words, err=True)

    def confirm(self, words: str, name: str, yes: bool) -> None:
        """Asks for the name of what is to be destroyed; ends the command where it is not given."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise click.UsageError(f"{words} Not asked, as this is no terminal: give --yes if you mean it.")
        if click.prompt(f"{words} Type {name} to go on", default="", show_default=False, err=True) != name:
            raise click.ClickException("Nothing was done.")


def pass_session(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the session, before what else it takes."""
    return click.make_pass_decorator(Session)(command)
