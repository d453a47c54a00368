"""What a read replica takes off the primary: `python -m bench.read_replica`.

Two CMPs on one PostgreSQL, of which one reads lists from a standby of it, asked in turn. Ratios are medians of
per-round ratios. Both servers share the machine, so that rates say little: what counts is the primary's CPU.
"""

import argparse
import asyncio
import random
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import load, servers
from bench.load import Shot
from bench.seed import seed
from testbed.databases import PostgreSQL, Standby
from testbed.processes import Process, free_port

_REQUESTS = {
    "list": "GET /api/v1/clusters/?limit=20",
    "long": "GET /api/v1/clusters/?limit=100",
    "instances": "GET /api/v1/instances/?limit=100",
}
_RESULT = Path(__file__).parent / "results" / "read_replica.md"


@dataclass(frozen=True, slots=True)
class Seen:
    """`primary`: milliseconds of CPU that the primary's processes spent on one request."""

    shot: Shot
    primary: float


Round = dict[tuple[str, str], Seen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each shot")
    arguments = parser.parse_args()
    text = _report(_measured(arguments.rounds, arguments.seconds), arguments.seconds)
    print(text)
    _RESULT.write_text(text)


def _measured(rounds: int, seconds: float) -> list[Round]:
    """The first round, a warm-up, is thrown away."""
    with PostgreSQL() as primary, Standby(primary) as standby, tempfile.TemporaryDirectory() as scratch:
        folder, url = Path(scratch), primary.create_database("bench")
        settings = {"replica": {"DATABASE_REPLICA_URL": standby.url("bench")}, "none": {}}
        ports = {name: free_port() for name in settings}
        started: dict[str, Process] = {}
        try:
            for name, more in settings.items():
                started[name] = servers.cmp(name, url, ports[name], folder, **more)
            tokens = folder / "tokens"
            tokens.write_text("\n".join(asyncio.run(seed(url.replace("+asyncpg", "")))) + "\n")

            def seen(request: str, name: str, span: float) -> Seen:
                words = [request, str(tokens), "", "0"]
                before = primary.cpu()
                shot = load.shoot(f"http://127.0.0.1:{ports[name]}", started[name].pid, 16, span, words)
                return Seen(shot, (primary.cpu() - before) * 1000 / (shot.rate * span))

            def one_round(span: float) -> Round:
                return {
                    (request, name): seen(request, name, span)
                    for request in _REQUESTS
                    for name in random.sample(list(settings), 2)
                }

            one_round(1.0)
            return [one_round(seconds) for _ in range(rounds)]
        finally:
            for process in started.values():
                process.stop()


def _report(rounds: list[Round], seconds: float) -> str:
    lines = [
        "# Lists that are read from a replica",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {len(rounds)} rounds of {seconds:g} s, 16 connections, one process of each,",
        "both PostgreSQL servers on the same machine. 100 tenants of 100 clusters. See docs/adr/0057.",
        "",
        "| request | the primary's CPU, with a replica ÷ without | lowest, highest round | with | without | rate |",
        "|---|---|---|---|---|---|",
    ]
    for request, title in _REQUESTS.items():
        pairs = [(shots[request, "replica"], shots[request, "none"]) for shots in rounds]
        ratios = [replica.primary / none.primary for replica, none in pairs]
        rate = median(replica.shot.rate / none.shot.rate for replica, none in pairs)
        lines.append(
            f"| {title} | **{median(ratios):.2f}** | {min(ratios):.2f}, {max(ratios):.2f} "
            f"| {median(replica.primary for replica, _ in pairs):.2f} ms "
            f"| {median(none.primary for _, none in pairs):.2f} ms | {rate:.2f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
