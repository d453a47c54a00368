"""Data on stdout: tables for people, JSON, YAML, CSV and names for programs."""

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, NamedTuple

import click

FORMATS = ("table", "wide", "json", "yaml", "csv", "name")
_GOOD = ("running", "succeeded", "ok", "done", "yes")
_BAD = ("failed", "degraded", "refused", "cancelled", "unknown")
_BUSY = ("pending", "provisioning", "starting", "stopping", "suspending", "deleting")
Row = Mapping[str, Any]


class Column(NamedTuple):
    """`value`: a field's name, or what makes the text of a row. `wide`: only in wide tables."""

    name: str
    value: str | Callable[[Row], Any]
    wide: bool = False

    def of(self, row: Row) -> Any:
        return row.get(self.value) if isinstance(self.value, str) else self.value(row)


class Output(NamedTuple):
    """How one asked to see it."""

    format: str
    columns: Sequence[Column]
    named: Sequence[str]
    filters: Sequence[str]
    headers: bool
    watch: bool
    name: str

    def listed(self, fetch: Callable[[], Iterable[Row]]) -> None:
        """All that is fetched; again and again where one watches."""
        if not self.watch:
            self._print(self._kept(fetch()))
            return
        before: list[Row] | None = None
        while True:
            rows = self._kept(fetch())
            if rows != before:
                if sys.stdout.isatty():
                    click.clear()
                self._print(rows)
                sys.stdout.flush()
            before = rows
            time.sleep(1)

    def streamed(self, rows: Iterable[Row]) -> None:
        """Each as it comes: a line of JSON, or of the table."""
        tests = [_test(words, self.columns) for words in self.filters]
        for row in rows:
            if not all(test(row) for test in tests):
                continue
            if self.format == "json":
                click.echo(json.dumps(row))
            elif self.format == "yaml":
                click.echo(f"---\n{_yaml(row)}", nl=False)
            elif self.format in ("csv", "name"):
                self._print([row])
            else:
                cells = [" ".join(_text(column.of(row)).split()) for column in self._chosen()]
                click.echo("  ".join(_coloured(cell, cell) for cell in cells if cell))
            sys.stdout.flush()

    def shown(self, row: Row) -> None:
        """One thing: a line for each field in a table."""
        if self.format == "json":
            click.echo(json.dumps(row, indent=2))
        elif self.format == "yaml":
            click.echo(_yaml(row), nl=False)
        elif self.format in ("csv", "name"):
            self._print([row])
        else:
            columns = self._chosen()
            longest = max(len(column.name) for column in columns)
            for column in columns:
                value = _text(column.of(row))
                if value or self.format == "wide":
                    label = click.style(column.name.upper().ljust(longest), dim=True)
                    first, *rest = value.splitlines() or [""]
                    click.echo(f"{label}  {_coloured(first, first)}")
                    for line in rest:
                        click.echo(f"{' ' * longest}  {line}")

    def _kept(self, rows: Iterable[Row]) -> list[Row]:
        tests = [_test(words, self.columns) for words in self.filters]
        return [row for row in rows if all(test(row) for test in tests)]

    def _chosen(self) -> list[Column]:
        if not self.named:
            return [column for column in self.columns if self.format in ("wide", "csv") or not column.wide]
        known = {column.name: column for column in self.columns}
        return [known.get(name, Column(name, name)) for name in self.named]

    def _print(self, rows: Sequence[Row]) -> None:
        if self.format == "json":
            click.echo(json.dumps(list(rows), indent=2))
        elif self.format == "yaml":
            click.echo(_yaml(list(rows)), nl=False)
        elif self.format == "name":
            for row in rows:
                click.echo(row[self.name])
        elif self.format == "csv":
            click.echo(self._csv(rows), nl=False)
        else:
            self._table(rows)

    def _csv(self, rows: Sequence[Row]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self.headers:
            writer.writerow([column.name for column in self._chosen()])
        writer.writerows([_text(column.of(row), people=False) for column in self._chosen()] for row in rows)
        return text.getvalue()

    def _table(self, rows: Sequence[Row]) -> None:
        columns = self._chosen()
        cells = [[" ".join(_text(column.of(row)).split()) for column in columns] for row in rows]
        heads = [column.name.upper() for column in columns]
        if not rows:
            click.echo("Nothing to show.", err=True)
            return
        widths = [max(map(len, line)) for line in zip(heads, *cells, strict=True)]
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        if room is not None:  # the last column gives way
            widths[-1] = max(len(heads[-1]), min(widths[-1], room - sum(widths[:-1]) - 2 * (len(widths) - 1)))
        if self.headers:
            click.echo(_line(heads, widths, lambda text, padded: click.style(padded, bold=True)))
        for line in cells:
            click.echo(_line(line, widths, _coloured))


def _line(cells: Sequence[str], widths: Sequence[int], style: Callable[[str, str], str]) -> str:
    shown = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        cut = cell if len(cell) <= width else cell[: max(0, width - 1)] + "…"
        shown.append(style(cut, cut if index == len(cells) - 1 else cut.ljust(width)))
    return "  ".join(shown).rstrip()


def _coloured(text: str, padded: str) -> str:
    word = text.partition(" ")[0].lower()
    for words, colour in ((_GOOD, "green"), (_BAD, "red"), (_BUSY, "yellow")):
        if word in words:
            return click.style(padded, fg=colour)
    return padded


def _test(words: str, columns: Sequence[Column]) -> Callable[[Row], bool]:
    """`name=value`, `name!=value`, or `name~part`."""
    for sign, compare in (
        ("!=", lambda found, wanted: found != wanted),
        ("~", lambda found, wanted: wanted in found),
        ("=", lambda found, wanted: found == wanted),
    ):
        name, found, wanted = words.partition(sign)
        if found:
            column = {column.name: column for column in columns}.get(name, Column(name, name))
            return lambda row: compare(_text(column.of(row), people=False), wanted)
    raise click.UsageError(f"--filter is name=value, name!=value or name~part, not {words!r}.")


def _text(value: Any, people: bool = True) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text) if people else text


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def ago(field: str) -> Callable[[Row], str]:
    """How long ago a time was: 5s, 12m, 3h, 40d."""

    def found(row: Row) -> str:
        if row.get(field) is None:
            return ""
        seconds = (datetime.now(UTC) - datetime.fromisoformat(row[field])).total_seconds()
        return age(seconds)

    return found


def age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def mib(value: float) -> str:
    """MiB as people write them."""
    return f"{value / 1024:g}Gi" if value >= 1024 and value % 256 == 0 else f"{value:g}Mi"


def outputs(columns: Sequence[Column], *, listing: bool = True, name: str = "name") -> Callable[[Any], Any]:
    """Gives a command `-o` and its kin, as `output`."""

    def decorate(command: Any) -> Any:
        @wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            chosen = Output(
                kwargs.pop("output"),
                columns,
                [word for words in kwargs.pop("columns") for word in words.split(",") if word],
                kwargs.pop("filter", ()),
                not kwargs.pop("no_headers", False),
                kwargs.pop("watch", False),
                name,
            )
            return command(*args, output=chosen, **kwargs)

        known = ", ".join(column.name for column in columns)
        options = [
            click.option(
                "-o", "--output", "--format", type=click.Choice(FORMATS), default="table", help="How to print."
            ),
            click.option("-c", "--columns", multiple=True, help=f"Which columns: {known}, or any field of the JSON."),
        ]
        if listing:
            options += [
                click.option("--filter", multiple=True, help="name=value, name!=value or name~part; all must hold."),
                click.option("--no-headers", is_flag=True, help="Without the line of headings."),
                click.option(
                    "-w", "--watch", is_flag=True, help="Print again whenever something changes; Ctrl-C ends."
                ),
            ]
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate
