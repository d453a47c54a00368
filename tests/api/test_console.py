"""The console's files: what was built, and nothing else; what says so where nothing was built."""

import gzip
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from main import create_app

PAGE = '<!doctype html><meta name="csp-nonce" content="" /><script type="module" src="/assets/index-1.js"></script>'
SCRIPT = "export {};" * 100


@pytest.fixture
def built(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(PAGE)
    (dist / "assets/index-1.js").write_text(SCRIPT)
    (dist / "secret.txt").write_text("not for anybody")
    return dist


def opened(tmp_path: Path, dist: Path) -> httpx.AsyncClient:
    app = create_app(Settings(worker="separate", data_dir=tmp_path, console_dir=dist))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cmp")


@pytest.mark.parametrize("path", ["/", "/clusters", "/clusters/new", "/instances/x/terminal", "/users/ada"])
async def test_each_address_of_the_console_is_its_page_with_a_nonce_of_its_own(
    tmp_path: Path, built: Path, path: str
) -> None:
    async with opened(tmp_path, built) as client:
        first, second = await client.get(path), await client.get(path)
    assert first.status_code == 200
    nonces = [answer.text.split('content="')[1].split('"')[0] for answer in (first, second)]
    assert nonces[0] != nonces[1] != ""
    policy = first.headers["content-security-policy"]
    assert f"'nonce-{nonces[0]}'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert first.headers["cache-control"] == "no-store"


async def test_assets_are_compressed_for_whoever_takes_that_and_kept(tmp_path: Path, built: Path) -> None:
    async with opened(tmp_path, built) as client:
        small = await client.get("/assets/index-1.js")
        plain = await client.get("/assets/index-1.js", headers={"Accept-Encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) == len(gzip.compress(SCRIPT.encode()))
    assert small.text == plain.text == SCRIPT
    assert "immutable" in small.headers["cache-control"]
    assert small.headers["content-type"].startswith("text/javascript")


async def test_what_is_built_anew_is_served_without_a_restart(tmp_path: Path, built: Path) -> None:
    async with opened(tmp_path, built) as client:
        assert (await client.get("/assets/index-2.js")).status_code == 404
        (built / "assets/index-2.js").write_text("new")
        assert (await client.get("/assets/index-2.js")).text == "new"


@pytest.mark.parametrize(
    "path",
    ["/assets/other.js", "/assets/..%2fsecret.txt", "/assets/../secret.txt", "/secret.txt", "/nothing", "/index.html"],
)
async def test_nothing_else_is_given(tmp_path: Path, built: Path, path: str) -> None:
    async with opened(tmp_path, built) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "not for anybody" not in answer.text


async def test_what_is_not_of_the_api_is_still_a_problem(tmp_path: Path, built: Path) -> None:
    async with opened(tmp_path, built) as client:
        answer = await client.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_without_it_the_page_says_how_to_get_it(tmp_path: Path) -> None:
    async with opened(tmp_path, tmp_path / "missing") as client:
        answer = await client.get("/")
    assert answer.status_code == 404
    assert "make console" in answer.text
    assert "Node.js" in answer.text
