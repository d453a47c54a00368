"""What CMP may do in Kubernetes, API and workers alike, and nothing else: deploy/kubernetes/rbac.yaml is this list.

What of it, and where, is narrowed further by deploy/kubernetes/fence.yaml.
"""

from dataclasses import dataclass

_ALL = "get list watch create patch delete"


@dataclass(frozen=True, slots=True)
class Right:
    """`why` is said where it does not go without saying."""

    group: str
    resources: str
    verbs: str
    why: str = ""


RIGHTS = (
    Right("", "namespaces", "get list watch create patch delete"),
    Right("", "pods", _ALL),
    Right("", "pods/resize", "patch"),
    Right(
        "",
        "secrets",
        "create patch",
        "Written, never read: what a tenant entrusted to CMP cannot be had back through this account's `get`.",
    ),
    Right("", "services", "create patch"),
    Right("", "persistentvolumeclaims", "get list create delete"),
    Right("", "nodes", "get list watch"),
    Right("", "serviceaccounts", "list watch create patch update", "Of each namespace the default one, tokenless."),
    Right("", "resourcequotas limitranges", "list watch create patch update", "How much fits into a namespace."),
    Right("networking.k8s.io", "networkpolicies", "list watch create patch update delete", "Who may talk to whom."),
    Right("node.k8s.io", "runtimeclasses", "get", "A flavour that names one needs it, and room for what it takes."),
    Right("coordination.k8s.io", "leases", "get list watch"),
    Right("kubevirt.io", "virtualmachines", _ALL),
    Right("kubevirt.io", "virtualmachineinstances", "get list watch delete"),
    Right(
        "kubevirt.io",
        "virtualmachineinstancemigrations",
        "get list watch create delete",
        "A VM moves to another node while it runs.",
    ),
    Right(
        "instancetype.kubevirt.io",
        "virtualmachineclusterinstancetypes",
        "get",
        "A flavour that names one must be of the same size.",
    ),
    Right("subresources.kubevirt.io", "virtualmachines/restart virtualmachines/stop", "update"),
    Right(
        "subresources.kubevirt.io",
        "virtualmachineinstances/pause virtualmachineinstances/softreboot virtualmachineinstances/unpause",
        "update",
    ),
    Right(
        "",
        "pods/log",
        "get",
        "Reaching instances: logs, commands, ports, consoles, screens. "
        "A WebSocket needs `create` since Kubernetes 1.35.",
    ),
    Right("", "pods/exec pods/portforward", "create get"),
    Right(
        "subresources.kubevirt.io",
        "virtualmachineinstances/console virtualmachineinstances/portforward virtualmachineinstances/vnc "
        "virtualmachineinstances/vnc/screenshot",
        "get",
    ),
    Right("metrics.k8s.io", "pods", "get", "Usage, where a metrics API is served."),
)
