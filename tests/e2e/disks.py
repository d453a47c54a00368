"""What a storage class would provide: volumes for the claims that a test makes."""

import contextlib
import json
from collections.abc import Iterator

from testbed.node import Node


def path(name: str) -> str:
    """Where the volume of that name is kept, on its node."""
    return f"/var/lib/{name}"


@contextlib.contextmanager
def provided(node: Node, *names: str, size: str = "64Mi") -> Iterator[None]:
    """One volume of each name, writable for whoever the process is, for so long."""
    kubectl = node.control_plane.kubectl
    for name in names:
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": path(name), "type": "Directory"},
            },
        }
        node.run("install", "-d", "-m", "777", path(name))
        kubectl("create", "-f", "-", stdin=json.dumps(volume))
    yield
    kubectl("delete", "pv", *names, "--timeout=60s")
