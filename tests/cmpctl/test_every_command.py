"""Every command and every option, against the running API; and every operation of the API, through a command.

The scenes check what the commands really did. What they used is recorded, and nothing may be left over.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cmpctl.command import Cmpctl
from tests.cmpctl.record import Record
from tests.cmpctl.scenes import clusters, notifications, people, platform, reaching, ssh_keys

SCENES = [*clusters.SCENES, *notifications.SCENES, *people.SCENES, *platform.SCENES, *reaching.SCENES, *ssh_keys.SCENES]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_scene(
    scene: Callable[[Cmpctl, Cmpctl, Path], None], admin: Cmpctl, person: Callable[[], Cmpctl], tmp_path: Path
) -> None:
    scene(admin, person(), tmp_path)


# Nobody's command needs them: what they are for is another program, or a screen.
NO_COMMAND = {
    "GET /metrics": "for Prometheus",
    "GET /oauth/jwks.json": "programs that verify access tokens ask for it",
    "GET /.well-known/oauth-authorization-server": "OAuth's libraries ask for it",
    "GET /livez": "supervisors ask for it",
    "GET /readyz": "load balancers ask for it",
    "WEBSOCKET /api/v1/instances/{instance}/vnc": "a screen needs a viewer: the console has one",
}


@pytest.fixture
def whole(request: pytest.FixtureRequest, record: Record) -> Record:
    """What all scenes together used."""
    names = [item.name for item in request.session.items]
    if not all(f"test_scene[{scene.__name__}]" in names for scene in SCENES):
        pytest.skip("needs all the scenes")
    return record


def test_every_command_was_used(whole: Record) -> None:
    assert whole.commands_left() == []


def test_every_option_and_argument_was_used(whole: Record) -> None:
    assert whole.parameters_left() == []


def test_every_operation_of_the_api_was_reached_by_a_command(whole: Record) -> None:
    assert whole.operations_left() == set(NO_COMMAND)
