"""What keeping answers is worth: `python -m bench.kept_answers`.

Two CMPs on one PostgreSQL, alike but for CMP_CACHE_MIB, asked in turn. Ratios are medians of per-round ratios.
"""

import argparse
import asyncio
import random
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import load, servers
from bench.load import Shot
from bench.seed import seed
from testbed.databases import PostgreSQL
from testbed.processes import Process, free_port

_REQUESTS = {
    "quota": "GET /api/v1/users/me/quota",
    "list": "GET /api/v1/clusters/?limit=20",
    "long": "GET /api/v1/clusters/?limit=100",
}
_MIB = {"kept": 32, "none": 0}
_RESULT = Path(__file__).parent / "results" / "kept_answers.md"

Round = dict[tuple[str, str], Shot]


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
    with PostgreSQL() as server, tempfile.TemporaryDirectory() as scratch:
        folder, url = Path(scratch), server.create_database("bench")
        ports = {name: free_port() for name in _MIB}
        started: dict[str, Process] = {}
        try:
            for name, rows in _MIB.items():
                started[name] = servers.cmp(name, url, ports[name], folder, CACHE_MIB=rows)
            tokens = folder / "tokens"
            tokens.write_text("\n".join(asyncio.run(seed(url.replace("+asyncpg", "")))) + "\n")

            def shot(request: str, name: str, span: float) -> Shot:
                words = [request, str(tokens), "", "0"]
                return load.shoot(f"http://127.0.0.1:{ports[name]}", started[name].pid, 16, span, words)

            def one_round(span: float) -> Round:
                return {
                    (request, name): shot(request, name, span)
                    for request in _REQUESTS
                    for name in random.sample(list(_MIB), 2)
                }

            one_round(1.0)
            return [one_round(seconds) for _ in range(rounds)]
        finally:
            for process in started.values():
                process.stop()


def _report(rounds: list[Round], seconds: float) -> str:
    lines = [
        "# Answers that are kept",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {len(rounds)} rounds of {seconds:g} s, 16 connections, one process of each.",
        "100 tenants of 100 clusters, of which nothing changes: the best case. See docs/adr/0056.",
        "",
        "| request | requests per second, kept ÷ not | lowest, highest round | CPU each, kept | CPU each, not |",
        "|---|---|---|---|---|",
    ]
    for request, title in _REQUESTS.items():
        ratios = [shots[request, "kept"].rate / shots[request, "none"].rate for shots in rounds]
        kept, none = (median(shots[request, name].cpu for shots in rounds) for name in _MIB)
        lines.append(
            f"| {title} | **{median(ratios):.2f}** | {min(ratios):.2f}, {max(ratios):.2f} "
            f"| {kept:.2f} ms | {none:.2f} ms |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
