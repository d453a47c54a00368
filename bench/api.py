"""The two hottest requests, CMP and the bare reference side by side: `python -m bench.api`.

Starts a private PostgreSQL (as durable as in production), CMP as one process, and the reference on the same tables.
Ratios are medians of per-round ratios: absolute values drift with the machine, ratios hardly.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load, reference, report, servers
from bench.load import Shot
from bench.seed import seed
from testbed.databases import PostgreSQL
from testbed.processes import Process, free_port, spawn

CONNECTIONS = 16
GENTLE_PAUSE = 20  # milliseconds
_ROOT = Path(__file__).parent.parent
_REQUESTS = {"list": "GET /api/v1/clusters/?limit=20", "create": "POST /api/v1/clusters/, 3 instances"}
_TITLES = {"cmp": "CMP", "reference": "reference"}


def main() -> None:
    arguments = _arguments()
    with _servers() as running:
        _same_answers(running)
        rounds = list(_rounds(arguments, running))
    text = report.api(rounds, list(arguments.only), _REQUESTS, running.database, arguments.seconds)
    print(text)
    if arguments.name:
        (_ROOT / "bench" / "results" / f"{arguments.name}.md").write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each shot")
    parser.add_argument("--only", nargs="+", choices=list(_REQUESTS), default=list(_REQUESTS))
    parser.add_argument("--name", default="api", help="of the file in bench/results; empty: none")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class _Running:
    """URLs and process ids by subject, a file of tokens, and which database it is."""

    urls: dict[str, str]
    pids: dict[str, int]
    tokens: Path
    database: str


@contextmanager
def _servers() -> Iterator[_Running]:
    with PostgreSQL() as server, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url = server.create_database("bench")
        plain = url.replace("+asyncpg", "")
        ports = {name: free_port() for name in _TITLES}
        started: list[Process] = []
        try:
            started.append(servers.cmp("cmp", url, ports["cmp"], folder))
            tokens = folder / "tokens"
            tokens.write_text("\n".join(asyncio.run(seed(plain))) + "\n")
            program = [sys.executable, reference.__file__, plain, str(ports["reference"])]
            started.append(spawn("reference", program, folder))
            servers.wait(started[-1], ports["reference"])
            urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            pids = {process.name: process.pid for process in started}
            yield _Running(urls, pids, tokens, f"PostgreSQL {server.version}")
        except Exception:
            print(*(process.tail() for process in started), sep="\n", file=sys.stderr)
            raise
        finally:
            for process in started:
                process.stop()


def _same_answers(running: _Running) -> None:
    """The reference must read what CMP reads, or the ratio says nothing."""
    token = running.tokens.read_text().split()[0]
    lists = []
    for url in running.urls.values():
        asked = urllib.request.Request(f"{url}/api/v1/clusters/?limit=20", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            lists.append(json.load(answer)["items"])
    if lists[0] != lists[1] or len(lists[0]) != 20:
        raise RuntimeError(f"CMP and the reference list different things:\n{lists[0][:1]}\n{lists[1][:1]}")


def _rounds(arguments: argparse.Namespace, running: _Running) -> Iterator[dict[tuple[str, str, bool], Shot]]:
    """One dict for each round, by request, subject, and whether it was gentle. The first, a warm-up, is thrown away."""
    for number in range(arguments.rounds + 1):
        shots: dict[tuple[str, str, bool], Shot] = {}
        seconds = arguments.seconds if number else 1.0
        for request in arguments.only:
            for gentle in (False, True):
                for subject in random.sample(list(running.urls), 2):
                    prefix = f"b{subject[0]}{number}{'g' if gentle else 'c'}-"
                    words = [request, str(running.tokens), prefix, str(GENTLE_PAUSE if gentle else 0)]
                    shots[request, subject, gentle] = load.shoot(
                        running.urls[subject], running.pids[subject], 1 if gentle else CONNECTIONS, seconds, words
                    )
        if number:
            report.progress(number, shots, arguments.only)
            yield shots


if __name__ == "__main__":
    main()
