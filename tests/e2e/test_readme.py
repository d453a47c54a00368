"""The README's first requests and a how-to's, word by word, as somebody would paste them into a shell."""

import os
import subprocess
from pathlib import Path

from tests.e2e.how_to import answers, shell
from tests.e2e.platform import ROOT, Platform, running

HEADING = "\n## First requests\n"


def first_requests() -> str:
    return shell((ROOT / "README.md").read_text().split(HEADING)[1].split("\n## ")[0])


def test_first_requests_work_when_pasted(tmp_path: Path) -> None:
    with running(Platform(tmp_path, kubernetes="simulator")) as platform:
        for _ in range(2):
            found = answers(_pasted(platform, first_requests()))
            used = [answer["used"] for answer in found if "used" in answer]
            assert used[0] == {"cpu": 1.5, "memory": 1536, "instances": 3, "clusters": 2, "storage": 0}
            assert "used" in found[-1]
            assert set(used[-1].values()) == {0}


def test_offering_images_and_sizes_works_when_pasted(tmp_path: Path) -> None:
    with running(Platform(tmp_path, kubernetes="simulator")) as platform:
        found = answers(_pasted(platform, shell((ROOT / "docs/how-to/offer-images-and-sizes.md").read_text())))
    chosen = [(answer["flavour"], answer["image_name"]) for answer in found if "namespace" in answer]
    assert chosen == [("small", "web")] * 2
    assert found[-1]["enabled"] is False


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
