"""A browser's session: its cookie, and that only our own pages act with it.

A browser says where a request comes from (Sec-Fetch-Site, Origin), and no page can forge that: what changes something,
and every WebSocket, must come from this very origin. Requests with a token of their own need none of this.
"""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.errors import Forbidden

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SESSION = "cmp-session"


def session_of(connection: HTTPConnection) -> str | None:
    return connection.cookies.get(name_of(connection, _SESSION))


def keep_session(connection: HTTPConnection, response: Response, secret: str, seconds: int) -> None:
    keep(connection, response, _SESSION, secret, seconds)


def forget_session(connection: HTTPConnection, response: Response) -> None:
    forget(connection, response, _SESSION)


def keep(connection: HTTPConnection, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name_of(connection, name),
        value,
        max_age=seconds,
        path="/",
        secure=_encrypted(connection),
        httponly=True,
        samesite="lax",
    )


def forget(connection: HTTPConnection, response: Response, name: str) -> None:
    response.delete_cookie(
        name_of(connection, name), path="/", secure=_encrypted(connection), httponly=True, samesite="lax"
    )


def name_of(connection: HTTPConnection, name: str) -> str:
    """With the prefix, no other host and no unencrypted page can set it: browsers see to that."""
    return f"__Host-{name}" if _encrypted(connection) else name


def require_own_page(connection: HTTPConnection) -> None:
    """Raises Forbidden where another site's page may be behind it, or nobody says which."""
    if not changes_something(connection):
        return
    origin, site = connection.headers.get("origin"), connection.headers.get("sec-fetch-site")
    ours = urlsplit(origin or "").netloc == connection.headers.get("host")
    # A form of a page that tells no referrer has the origin `null`, though it is ours.
    if site == "same-origin" and (ours or origin in (None, "null")):
        return
    if site is None and ours:
        return
    raise Forbidden("With a browser's session, only CMP's own pages may do this. Programs send a bearer token.")


def changes_something(connection: HTTPConnection) -> bool:
    """Or opens a WebSocket, through which something may be changed."""
    return connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE


def _encrypted(connection: HTTPConnection) -> bool:
    return connection.scope["scheme"] in ("https", "wss")
