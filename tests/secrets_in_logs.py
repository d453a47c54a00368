"""No test's output, and no process's log, holds a secret: looked for after each test, and when a platform stops.

A secret is whatever looks like one of CMP's own, and the canaries that tests entrust to it.
"""

import re
from collections.abc import Generator
from typing import Any

import pytest

_OURS = re.compile(r"cmp_(?:pat|ses|ref|sec|dev)_[A-Za-z0-9_-]{43}|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}")
CANARIES = ("a long enough password", "canary of the")


def found_in(text: str) -> str | None:
    """How it begins, of the first that is there."""
    ours = _OURS.search(text)
    if ours is not None:
        return f"{ours[0][:12]}..."
    return next((canary for canary in CANARIES if canary in text), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report: Any = yield
    # By then all that was said is there.
    for name, text in report.sections if report.when == "teardown" and report.passed else ():
        secret = found_in(text)
        if secret is not None:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {name} holds a secret: {secret}"
    return report
