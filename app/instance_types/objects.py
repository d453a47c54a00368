"""What instances of several types stand on: claims for their disks, Secrets, the Service that leads to their ports."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.instance_types.values import (
    CLUSTER,
    ClusterRef,
    InstanceSpec,
    cluster_labels,
    instance_labels,
    memory_quantity,
)
from app.rules import naming, volumes


def claim(spec: InstanceSpec, wanted: volumes.Claim) -> dict[str, Any]:
    """The PersistentVolumeClaim of one volume of one instance. It is deleted with the instance, never before."""
    size = {"requests": {"storage": memory_quantity(wanted.size)}}
    storage_class = {"storageClassName": wanted.storage_class} if wanted.storage_class is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": naming.claim_name(spec.name, wanted.volume),
            "namespace": spec.cluster.namespace,
            "labels": instance_labels(spec),
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": size, **storage_class},
    }


def secret(cluster: ClusterRef, kind: str, data: Mapping[str, str], type: str = "Opaque") -> dict[str, Any]:
    """A Secret of the whole cluster; `data` in plain text, which is written as base64."""
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": type,
        "metadata": _shared_metadata(cluster, naming.secret_name(cluster.cluster_name, kind)),
        "data": encoded,
    }


def registry_secret(cluster: ClusterRef, account: Mapping[str, str], password: str) -> dict[str, Any]:
    """As the kubelet reads it for `imagePullSecrets`."""
    login = base64.b64encode(f"{account['username']}:{password}".encode()).decode()
    auths = {account["server"]: {"username": account["username"], "password": password, "auth": login}}
    text = json.dumps({"auths": auths})
    return secret(cluster, "registry", {".dockerconfigjson": text}, "kubernetes.io/dockerconfigjson")


def service(cluster: ClusterRef, ports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By which the instances' ports are reached in their namespace, under the cluster's name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _shared_metadata(cluster, cluster.cluster_name),
        "spec": {
            "type": "ClusterIP",
            "selector": {CLUSTER: cluster.cluster_id},
            "ports": [
                {
                    "name": port["name"] or f"{port['protocol'].lower()}-{port['port']}",
                    "port": port["port"],
                    "targetPort": port["port"],
                    "protocol": port["protocol"],
                }
                for port in ports
            ],
        },
    }


def _shared_metadata(cluster: ClusterRef, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": cluster.namespace, "labels": cluster_labels(cluster)}
