"""The README's first requests and a how-to's, word by word, as somebody would paste them into a shell."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.platform import ROOT, Platform, running

HEADING = "\n## First requests\n"


def first_requests() -> str:
    return _shell((ROOT / "README.md").read_text().split(HEADING)[1].split("\n## ")[0])


def test_first_requests_work_when_pasted(tmp_path: Path) -> None:
    with running(Platform(tmp_path, kubernetes="simulator")) as platform:
        for _ in range(2):
            answers = _answers(_pasted(platform, first_requests()))
            used = [answer["used"] for answer in answers if "used" in answer]
            assert used[0] == {"cpu": 1.5, "memory": 1536, "instances": 3, "clusters": 2, "storage": 0}
            assert "used" in answers[-1]
            assert set(used[-1].values()) == {0}


def test_offering_images_and_sizes_works_when_pasted(tmp_path: Path) -> None:
    with running(Platform(tmp_path, kubernetes="simulator")) as platform:
        answers = _answers(_pasted(platform, _shell((ROOT / "docs/how-to/offer-images-and-sizes.md").read_text())))
    chosen = [(answer["flavour"], answer["image_name"]) for answer in answers if "namespace" in answer]
    assert chosen == [("small", "web")] * 2
    assert answers[-1]["enabled"] is False


def _shell(text: str) -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def _pasted(platform: Platform, commands: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CMP_")}
    environment |= {"CMP_PORT": str(platform.port), "CMP_DATA_DIR": str(platform.data_dir)}
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{commands}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout[-2000:]}\n{platform.log('api')}"
    return done.stdout


def _answers(text: str) -> list[dict[str, Any]]:
    """The JSON objects that were printed one after the other."""
    decoder = json.JSONDecoder()
    found = []
    while text := text.strip():
        answer, end = decoder.raw_decode(text)
        found.append(answer)
        text = text[end:]
    return found
