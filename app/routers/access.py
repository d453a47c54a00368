"""What each route needs: it says so beside its path, and a test fails for one that does not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Depends
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute

from app import auth
from app.routers.deps import CurrentViewer
from app.rules.access import Permission


@dataclass(frozen=True)
class Needs:
    permission: Permission

    async def __call__(self, viewer: CurrentViewer) -> None:
        auth.require(viewer, self.permission)


async def _anybody() -> None:
    """A public route asks nobody who they are."""


PUBLIC = Depends(_anybody)


def needs(permission: Permission) -> Any:
    """For a route's `dependencies`. A BareRoute runs none of them: it asks for itself."""
    return Depends(Needs(permission))


def declared(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], list[Permission | None]]:
    """What every route says, by method and path: one permission, or None for a public one."""
    return {
        (method, prefix + route.path): _said(route.dependencies)
        for prefix, route in _all(routes)
        for method in (sorted(route.methods or ()) if isinstance(route, APIRoute) else ["WEBSOCKET"])
    }


def templates(routes: Iterable[BaseRoute]) -> dict[int, str]:
    """The whole path of every route, by its `id`: routes cannot be hashed, and FastAPI keeps no prefix in them."""
    return {id(route): prefix + route.path for prefix, route in _all(routes)}


def _all(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, APIRoute | APIWebSocketRoute]]:
    """FastAPI keeps an included router as it is."""
    for route in routes:
        if isinstance(route, APIRoute | APIWebSocketRoute):
            yield prefix, route
        elif included := getattr(route, "original_router", None):
            yield from _all(included.routes, prefix + route.include_context.prefix)  # type: ignore[attr-defined]


def _said(dependencies: Iterable[Dependency]) -> list[Permission | None]:
    asked = [one.dependency for one in dependencies]
    needed: list[Permission | None] = [one.permission for one in asked if isinstance(one, Needs)]
    return needed + [None for one in asked if one is _anybody]
