"""`cmpctl`: the commands put together, and how every error is told."""

import os
import sys

import click

from cmpctl import VERSION, commands
from cmpctl.session import Session

EXIT_CODES = {
    0: "done",
    1: "it did not work, or not for all that was named",
    2: "the command line makes no sense",
    3: "not signed in, or the sign-in has ended",
    4: "your account or your token may not do that",
    5: "there is no such thing, or it is somebody else's, or the name is ambiguous",
    6: "not in its present state, or changed meanwhile, or the name is taken",
    7: "it does not fit the quota",
    8: "CMP does not answer",
    9: "the operation failed",
    10: "the operation was not done in the time given; it goes on",
    130: "Ctrl-C: detached; what was begun goes on",
}

ENVIRONMENT = {
    "CMPCTL_URL": "where CMP is, instead of the profile's; with CMPCTL_TOKEN no profile is needed",
    "CMPCTL_TOKEN": "the token, instead of the profile's",
    "CMPCTL_PROFILE": "which profile, as `--profile`",
    "CMPCTL_HOME": "the folder of profiles, instead of the system's place for settings",
    "NO_COLOR": "no colours; there are none in pipes anyway",
}


class _Group(click.Group):
    """Commands in sections, in the order in which one meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, self.commands))
        for title, members in commands.sections().items():
            with formatter.section(title):
                room = formatter.width - longest - 4
                formatter.write_dl([(str(one.name).ljust(longest), one.get_short_help_str(room)) for one in members])


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", metavar="NAME", help="Which CMP and who there; see `cmpctl profiles`.")
@click.option("-q", "--quiet", is_flag=True, help="Data and errors only.")
@click.option("--debug", is_flag=True, help="Log every request to stderr.")
@click.version_option(VERSION, prog_name="cmpctl")
@click.pass_context
def root(context: click.Context, profile: str | None, quiet: bool, debug: bool) -> None:
    """Clusters of containers and virtual machines, from the command line.

    \b
    First:  cmpctl login http://127.0.0.1:8000
    Then:   cmpctl launch web --cpu 0.5 --memory 512Mi --image nginx --count 3
            cmpctl ps

    Names, ids and unique beginnings of them are all taken. Data goes to stdout, everything else to stderr.
    """
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    context.color = False if os.environ.get("NO_COLOR") else None
    context.obj = Session(profile, quiet, debug)


for _members in commands.sections().values():
    for _command in _members:
        root.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command line and exits with one of EXIT_CODES."""
    try:
        code = root.main(arguments, prog_name="cmpctl", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("", err=True)
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        from cmpctl import trouble

        told = trouble.told(error)
        if told is None:
            raise
        sys.exit(told)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
