"""The console's sources fit the API's description, and the rules of their linter."""

import subprocess
from pathlib import Path


def test_types_and_rules(console_dir: Path) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=console_dir.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
