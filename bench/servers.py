"""CMP as one process, ready to be measured: no worker, no limits, a quiet log."""

import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from testbed.processes import Process, spawn

_ROOT = Path(__file__).parent.parent


def cmp(name: str, database_url: str, port: int, folder: Path, **more: Any) -> Process:
    """`more` are settings without their CMP_."""
    settings = {
        "DATABASE_URL": database_url,
        "PORT": port,
        "DATA_DIR": folder / "data" / name,
        "WORKER": "separate",
        "LOG_LEVEL": "warning",
        **{f"RATE_{kind}": 10**9 for kind in ("ADDRESS", "TOKEN", "ACCOUNT")},
        **more,
    }
    environment = [f"CMP_{setting}={value}" for setting, value in settings.items()]
    process = spawn(name, ["env", *environment, sys.executable, _ROOT / "main.py"], folder)
    wait(process, port)
    return process


def wait(process: Process, port: int) -> None:
    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    process.wait_until(answers, 60)
