"""The console at /: what `make console` built, below a policy that lets in nothing from elsewhere."""

import gzip
import secrets
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from app.routers import pages
from app.routers.access import PUBLIC
from app.routers.deps import state_of

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_NONCE = '<meta name="csp-nonce" content="" />'
_ASSETS = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


# The first words of the console's addresses; the rest of them is the console's own.
PAGES = (
    "clusters", "instances", "operations", "audit", "account", "notifications",
    "users", "catalogue", "platform", "help",
)  # fmt: skip


@router.get("/assets/{name}", dependencies=[PUBLIC])
async def asset(request: Request, name: str) -> Response:
    """Its name changes with what is in it."""
    assets = state_of(request).settings.console_dir / "assets"
    found = _read(assets, assets.stat().st_mtime_ns).get(name) if assets.is_dir() else None
    if found is None:
        raise HTTPException(404)
    plain, small = found
    kind = guess_type(name)[0] or "application/octet-stream"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(small, media_type=kind, headers=_ASSETS | {"Content-Encoding": "gzip"})
    return Response(plain, media_type=kind, headers=_ASSETS)


async def page(request: Request) -> Response:
    built = state_of(request).settings.console_dir / "index.html"
    if not built.is_file():
        return pages.said(
            "No console here",
            "It has not been built: install Node.js 20 or newer, then `make console`, and load this page again. "
            "The API serves as always; /docs describes it.",
            404,
        )
    nonce = secrets.token_urlsafe(16)
    html = built.read_text().replace(_NONCE, _NONCE.replace('content=""', f'content="{nonce}"'))
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})


for _path in ("/", *(f"/{name}{rest}" for name in PAGES for rest in ("", "/{rest:path}"))):
    router.add_api_route(_path, page, dependencies=[PUBLIC])


@lru_cache(maxsize=4)
def _read(folder: Path, _built: int) -> dict[str, tuple[bytes, bytes]]:
    """Each file plain and compressed: a few, read once for each build. What is asked for is looked up, never opened."""
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    return {name: (content, gzip.compress(content)) for name, content in whole.items()}
