"""How things are called in Kubernetes, and which names people may choose.

A name is a DNS label, so that it can stand in object names, host names and URLs unescaped.
"""

import re
import secrets

from app.models import InstanceType

NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_MAX = 40
USERNAME_PATTERN = r"^[a-z0-9]([-._@a-z0-9]*[a-z0-9])?$"
USERNAME_MAX = 63
# What a part of a name can be made of.
SEARCH_PATTERN = r"^[-._@A-Za-z0-9]+$"
# Kubernetes keeps `kube-` for itself.
RESERVED_PREFIXES = ("kube-",)
# /users/me is whoever asks.
RESERVED_USERNAMES = ("me",)

# What the catalogue's flavours and images may be called; each also reads as an image reference without a tag.
CATALOGUE_NAME_PATTERN = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"

LABEL_KEY_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LABEL_FILTER_PATTERN = (
    r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
)
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"

# Disks that every VM has, or may have; its further ones are called otherwise.
RESERVED_DISKS = ("root", "cloudinit", "kernel")

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_RESOURCES = {
    InstanceType.CONTAINER: "pods",
    InstanceType.VM: "virtualmachines",
}
_TYPES = {plural: instance_type for instance_type, plural in reversed(_RESOURCES.items())}
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def namespace_for(cluster_name: str) -> str:
    """The namespace of a cluster where nobody has that name yet."""
    return f"{cluster_name}-ns"


def namespace_with_suffix(cluster_name: str) -> str:
    """The namespace where the plain one is taken: five random characters keep two tenants' `web` apart."""
    return f"{cluster_name}-{''.join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))}-ns"


def kubernetes_resource(instance_type: str, name: str) -> str:
    """Where an instance is found in its namespace, as kubectl takes it: pods/web-instance-1."""
    return f"{_RESOURCES[InstanceType(instance_type)]}/{name}"


def instance_type_of(kubernetes_resource: str) -> InstanceType:
    """The type of the instance that is found there."""
    return _TYPES[kubernetes_resource.partition("/")[0]]


def instance_name(cluster_name: str, ordinal: int) -> str:
    return f"{cluster_name}-instance-{ordinal}"


def claim_name(instance: str, volume: str) -> str:
    """The PersistentVolumeClaim of one volume of one instance."""
    return f"{instance}-{volume}"


def secret_name(cluster_name: str, kind: str) -> str:
    """The Secret that holds one kind of a cluster's secrets: env, registry, cloudinit, ssh."""
    return f"{cluster_name}-{kind}"


def reserved(name: str) -> bool:
    return name.startswith(RESERVED_PREFIXES)


def could_be_username(text: str) -> bool:
    """Not each database can even be asked for what could not."""
    return len(text) <= USERNAME_MAX and re.fullmatch(USERNAME_PATTERN, text) is not None


def reads_as_id(text: str) -> bool:
    """Whether a path that holds it means an id: such a text is nobody's name."""
    return _ID.fullmatch(text) is not None
