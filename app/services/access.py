"""Whether a viewer may do something with one cluster: by role, token and what they are to it."""

from app import auth
from app.errors import Forbidden
from app.rules.access import Access, Permission, Viewer, owns


def require(viewer: Viewer, access: Access, permission: Permission) -> None:
    """Raises Forbidden: the role or the token lacks it, or the grant does."""
    auth.require(viewer, permission)
    if not viewer.may_with(access, permission):
        raise Forbidden(f"This needs {permission}; it is shared with you for less ({access}). Ask its owner.")


def require_owner(access: Access, what: str) -> None:
    """Raises Forbidden."""
    if not owns(access):
        raise Forbidden(f"It is shared with you; only its owner may {what}.")
