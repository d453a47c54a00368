"""From shots to a table: the ratio first, then what this machine made of it."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median

from bench import load
from bench.load import Shot

Round = Mapping[tuple[str, str, bool], Shot]
_PACKAGES = ("fastapi", "starlette", "uvicorn", "uvloop", "sqlalchemy", "asyncpg", "pydantic", "orjson")


def ratios(rounds: Sequence[Round], request: str) -> list[float]:
    """CMP's rate over the reference's, round by round."""
    return [shots[request, "cmp", False].rate / shots[request, "reference", False].rate for shots in rounds]


def progress(number: int, shots: Round, requests: Sequence[str]) -> None:
    said = [
        f"{request} {shots[request, 'cmp', False].rate:.0f} ÷ {shots[request, 'reference', False].rate:.0f}"
        f" = {ratios([shots], request)[0]:.2f}"
        f" (CPU {shots[request, 'cmp', False].cpu:.2f}, {shots[request, 'reference', False].cpu:.2f} ms)"
        for request in requests
    ]
    print(f"round {number}: {', '.join(said)}", flush=True)


def api(rounds: Sequence[Round], requests: Sequence[str], titles: Mapping[str, str], database: str, span: float) -> str:
    lines = [
        "# The API's hot paths",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {len(rounds)} rounds of {span:g} s, 16 connections, one process of each.",
        "What is measured and how to read it: [../README.md](../README.md). Only the ratio travels to other machines.",
        "",
        "| request | CMP ÷ reference | lowest, highest round |",
        "|---|---|---|",
    ]
    for request in requests:
        each = ratios(rounds, request)
        lines.append(f"| {titles[request]} | **{median(each):.2f}** | {min(each):.2f}, {max(each):.2f} |")
    lines += [
        "",
        f"On this machine ({os.cpu_count()} cores, {platform.machine()}, shared with other work):",
        "",
        "| request | subject | per second | CPU each | p50, p99 at that rate | p50, p99 of one client, 20 ms apart |",
        "|---|---|---|---|---|---|",
    ]
    for request in requests:
        for subject in ("cmp", "reference"):
            full, gentle = ([shots[request, subject, kind] for shots in rounds] for kind in (False, True))
            rate, cpu = median(shot.rate for shot in full), median(shot.cpu for shot in full)
            measured = f"{rate:,.0f} | {cpu:.2f} ms | {_latency(full)} | {_latency(gentle)}"
            lines.append(f"| {titles[request]} | {subject} | {measured} |")
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    lines += ["", f"Python {platform.python_version()}, {packages}; {database}; {load.version()}.", ""]
    return "\n".join(lines)


def _latency(shots: Sequence[Shot]) -> str:
    return f"{median(shot.p50 for shot in shots):.2f}, {median(shot.p99 for shot in shots):.2f} ms"
