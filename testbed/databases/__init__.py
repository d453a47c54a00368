"""Private PostgreSQL, MariaDB and MySQL servers on loopback, with a data directory of their own, gone when stopped.

They run as an unprivileged user when we are root. They are as durable as in production unless `fast=True`, which is for
tests that never pull the plug. Knows nothing of CMP's tables.
"""

from testbed.databases.mysql import MariaDB, MySQL
from testbed.databases.postgresql import PostgreSQL, Standby
from testbed.databases.server import DatabaseServer

__all__ = ["DatabaseServer", "MariaDB", "MySQL", "PostgreSQL", "Standby"]
