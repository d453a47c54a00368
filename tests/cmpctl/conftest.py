"""One CMP on one simulator for all of these tests, and people who use it through cmpctl."""

import itertools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cmpctl.command import MAIL_PORT, Cmpctl
from tests.cmpctl.record import Record
from tests.e2e.platform import Platform, running, simulator

pytest.register_assert_rewrite("tests.cmpctl.scenes")

_numbers = itertools.count(1)
_ROOMY = {
    "quota_cpu": 2000,
    "quota_memory": "2000Gi",
    "quota_instances": 5000,
    "quota_clusters": 2000,
    "quota_storage": "1000Gi",
}


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Ctrl-C is heard also where these tests were started in the background, by a shell that has it ignored there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[str]:
    with simulator("--speed", "20") as url:
        yield url


@pytest.fixture(scope="session")
def platform(kubernetes: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    mail = {"CMP_SMTP_HOST": "127.0.0.1", "CMP_SMTP_PORT": str(MAIL_PORT), "CMP_SMTP_TLS": "none"}
    with running(Platform(tmp_path_factory.mktemp("platform"), kubernetes, extra=mail)) as started:
        yield started


@pytest.fixture(scope="session")
def record() -> Record:
    return Record()


@pytest.fixture(scope="session")
def admin(platform: Platform, record: Record, tmp_path_factory: pytest.TempPathFactory) -> Cmpctl:
    return Cmpctl(platform.url, tmp_path_factory.mktemp("home"), record, platform.token, "admin")


@pytest.fixture(scope="session")
def person(admin: Cmpctl, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Cmpctl]:
    """Makes somebody new, with room for much unless it is said otherwise."""

    def made(**fields: Any) -> Cmpctl:
        name = f"user{next(_numbers)}"
        answer = admin.request("POST", "/users/", json={"username": name, **_ROOMY, **fields})
        assert answer.status_code == 201, answer.text
        return Cmpctl(admin.url, tmp_path_factory.mktemp(name), admin.record, answer.json()["token"], name)

    return made


@pytest.fixture(scope="module")
def ada(person: Callable[..., Cmpctl]) -> Cmpctl:
    return person()
