"""The real servers that the tests run on: a Kubernetes control plane, PostgreSQL, MariaDB.

Each is started on loopback with ports and data of its own and ends with the process that started it.
Nothing here knows CMP; nothing in CMP imports this.
"""


class Unavailable(Exception):
    """A real server cannot be had on this machine. The message says why and what to do about it."""
