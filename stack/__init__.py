"""All of CMP on loopback, without Docker: two APIs behind nginx, two workers, PostgreSQL, Redis, Prometheus.

For looking at, and for the tests of `make test-stack`; what it keeps is gone when it stops.
"""

from stack.stack import Stack

__all__ = ["Stack"]
