"""cmpctl: CMP's command line, and the Python client that it stands on.

It speaks HTTP only and knows nothing of the server's code.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmpctl.client.client import AsyncClient as AsyncClient
    from cmpctl.client.client import Client as Client

VERSION = "0.1.0"
_FROM = {"Client": "cmpctl.client.client", "AsyncClient": "cmpctl.client.client"}


def __getattr__(name: str) -> Any:
    """The client is imported when it is asked for: `cmpctl --help` does without."""
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(name)
