"""Every command and every option, against the running API; and every operation of the API, through a command.

The scenes check what the commands really did. What they used is recorded, and nothing may be left over.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cmpctl.command import Cmpctl
from tests.cmpctl.scenes import clusters, people, platform, reaching

SCENES = [*clusters.SCENES, *people.SCENES, *platform.SCENES, *reaching.SCENES]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_scene(
    scene: Callable[[Cmpctl, Cmpctl, Path], None], admin: Cmpctl, person: Callable[[], Cmpctl], tmp_path: Path
) -> None:
    scene(admin, person(), tmp_path)
