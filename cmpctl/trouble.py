"""What went wrong, in words: what happened, why, and what to type next."""

import math
import os
import shutil
import sys
from typing import Any

import click

from cmpctl.client import errors
from cmpctl.output import mib

_CODES: list[tuple[type[Exception], int]] = [
    (errors.Unauthenticated, 3),
    (errors.Forbidden, 4),
    (errors.NotFound, 5),
    (errors.QuotaExceeded, 7),
    (errors.Conflict, 6),
    (errors.Unavailable, 8),
    (errors.Unreachable, 8),
    (errors.OperationFailed, 9),
    (errors.StillRunning, 10),
    (errors.CmpError, 1),
]
_NEXT = {
    "unauthenticated": "cmpctl login",
    "forbidden": "cmpctl whoami  (what you may)",
    "not_found": "cmpctl ps",
    "name_taken": "choose another name, or look at that one: cmpctl clusters show NAME",
    "quota_exceeded": "cmpctl quota",
    "stale": "look at it again, and do it once more",
    "no_such_path": "this CMP does not know that: it is older or newer than this cmpctl; see cmpctl version",
}
_WIDTH = 16


def told(error: Exception) -> int | None:
    """Says it on stderr and answers the exit code; None for what is no error of ours."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    if code is None:
        return None
    for line in lines(error):
        click.echo(line, err=True, color=False if os.environ.get("NO_COLOR") else None)
    return code


def lines(error: Exception) -> list[str]:
    found = [click.style("Error: ", fg="red", bold=True) + str(error)]
    if sys.stderr.isatty():
        found = [click.wrap_text(found[0], shutil.get_terminal_size().columns - 1)]
    if isinstance(error, errors.QuotaExceeded):
        found += [bar(name, numbers) for name, numbers in error.shortfalls.items()]
    if isinstance(error, errors.Conflict) and error.problem.get("allowed_operations"):
        found.append(f"Now possible: {', '.join(error.problem['allowed_operations'])}")
    if isinstance(error, errors.Unreachable):
        found.append("Next: is the address right (cmpctl profiles), and is CMP running there?")
    if isinstance(error, errors.Refused):
        if error.code in _NEXT:
            found.append(f"Next: {_NEXT[error.code]}")
        if error.request_id:
            found.append(click.style(f"Request {error.request_id}", dim=True))
    return found


def bar(name: str, numbers: dict[str, Any]) -> str:
    """`numbers`: requested, used, limit, remaining."""
    limit = max(numbers["limit"], numbers["used"], 1e-9)
    asked = numbers.get("requested")
    used = min(_WIDTH, math.ceil(_WIDTH * numbers["used"] / limit))
    more = min(_WIDTH - used, math.ceil(_WIDTH * (asked or 0) / limit))
    drawn = "█" * used + "▒" * more + "░" * (_WIDTH - used - more)
    said = f"{_amount(name, numbers['used'])} of {_amount(name, numbers['limit'])} used"
    left = f", {_amount(name, numbers['remaining'])} left"
    return f"  {name:<10}{drawn}  {said}{left}" + (f", asked for {_amount(name, asked)}" if asked is not None else "")


def _amount(name: str, value: float) -> str:
    return mib(value) if name in ("memory", "storage") else f"{value:g}"
