"""What a container instance's Pod is made of: its settings in Kubernetes' words."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.instance_types.values import InstanceSpec, cpu_quantity, memory_quantity
from app.rules import naming

GRACE_SECONDS = 30
NODE_LOSS_SECONDS = 300
# The node agent says it of every Pod that is not suspended, so that Services leave out those that are.
RUNNING_GATE = "cmp.io/Running"

# What containers commonly have by default, without what is of use to whoever wants to break out.
ORDINARY = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")

_RESTART = {"always": "Always", "on-failure": "OnFailure", "never": "Never"}
_PULL = {"always": "Always", "if-not-present": "IfNotPresent", "never": "Never"}


def pod_spec(spec: InstanceSpec) -> dict[str, Any]:
    settings = spec.settings
    volumes = [_volume(spec, volume) for volume in settings.get("volumes") or ()]
    registry = [{"name": naming.secret_name(spec.cluster.cluster_name, "registry")}] if settings.get("registry") else []
    return {
        "restartPolicy": _RESTART[settings.get("restart_policy", "always")],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **_identity(spec)},
        **({"hostUsers": False} if spec.own_users else {}),
        **({"runtimeClassName": settings["runtime_class"]} if settings.get("runtime_class") else {}),
        "tolerations": [_tolerated("not-ready"), _tolerated("unreachable")],
        **({"readinessGates": [{"conditionType": RUNNING_GATE}]} if spec.agents else {}),
        **({"imagePullSecrets": registry} if registry else {}),
        **({"volumes": volumes} if volumes else {}),
        "containers": [_main(spec)],
    }


def _main(spec: InstanceSpec) -> dict[str, Any]:
    settings = spec.settings
    optional = {
        "imagePullPolicy": _PULL[settings["pull_policy"]] if settings.get("pull_policy") else None,
        "command": settings.get("command"),
        "args": settings.get("args"),
        "workingDir": settings.get("working_dir"),
        "env": _environment(spec),
        "ports": [_port(port) for port in settings.get("ports") or ()],
        "volumeMounts": [_mount(volume) for volume in settings.get("volumes") or ()],
        **_probes(settings.get("health") or {}),
    }
    return {
        "name": "main",
        "image": spec.image,
        **{name: value for name, value in optional.items() if value},
        "resources": resources(spec),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": _capabilities(spec)},
    }


def resources(spec: InstanceSpec) -> dict[str, Any]:
    size = {"cpu": cpu_quantity(spec.cpu), "memory": memory_quantity(spec.memory)}
    return {"requests": dict(size), "limits": dict(size)}


def _capabilities(spec: InstanceSpec) -> dict[str, list[str]]:
    """None but those that an image needs which begins as root and then becomes somebody else. Others than root have
    none to give up.
    """
    asked = spec.settings.get("capabilities")
    as_root = not spec.restricted and not spec.settings.get("user")
    added = list(asked) if asked is not None else list(ORDINARY if as_root else ())
    return {"drop": ["ALL"], **({"add": added} if added else {})}


def _identity(spec: InstanceSpec) -> dict[str, Any]:
    """The group also owns the volumes, so that whoever the process is can write to them."""
    user, group = spec.settings.get("user"), spec.settings.get("group")
    named = {"runAsUser": user, "runAsGroup": group, "fsGroup": group if group is not None else user}
    if user or spec.restricted:
        named["runAsNonRoot"] = True
    return {name: value for name, value in named.items() if value is not None}


def _environment(spec: InstanceSpec) -> list[dict[str, Any]]:
    plain = [{"name": name, "value": value} for name, value in (spec.settings.get("env") or {}).items()]
    kept = naming.secret_name(spec.cluster.cluster_name, "env")
    secret = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": kept, "key": name}}}
        for name in spec.settings.get("secret_env") or ()
    ]
    return plain + secret


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    named = {"name": port["name"]} if port.get("name") else {}
    return {"containerPort": port["port"], "protocol": port["protocol"], **named}


def _volume(spec: InstanceSpec, volume: Mapping[str, Any]) -> dict[str, Any]:
    if volume["type"] == "persistent":
        return {
            "name": volume["name"],
            "persistentVolumeClaim": {"claimName": naming.claim_name(spec.name, volume["name"])},
        }
    limit = {"sizeLimit": memory_quantity(volume["size"])} if volume.get("size") else {}
    medium = {"medium": "Memory"} if volume.get("in_memory") else {}
    return {"name": volume["name"], "emptyDir": {**medium, **limit}}


def _mount(volume: Mapping[str, Any]) -> dict[str, Any]:
    read_only = {"readOnly": True} if volume.get("read_only") else {}
    return {"name": volume["name"], "mountPath": volume["mount_path"], **read_only}


def _probes(health: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"readinessProbe": "readiness", "livenessProbe": "liveness", "startupProbe": "startup"}
    return {name: _probe(health[kind]) if health.get(kind) else None for name, kind in kinds.items()}


def _probe(probe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_question(probe),
        # The API server keeps no zero.
        **({"initialDelaySeconds": probe["initial_delay_seconds"]} if probe["initial_delay_seconds"] else {}),
        "periodSeconds": probe["interval_seconds"],
        "timeoutSeconds": probe["timeout_seconds"],
        "failureThreshold": probe["failure_threshold"],
    }


def _question(probe: Mapping[str, Any]) -> dict[str, Any]:
    if probe.get("http"):
        return {"httpGet": {"path": probe["http"]["path"], "port": probe["http"]["port"]}}
    if probe.get("tcp"):
        return {"tcpSocket": {"port": probe["tcp"]}}
    command: Sequence[str] = probe["command"]
    return {"exec": {"command": list(command)}}


def _tolerated(condition: str) -> dict[str, Any]:
    return {
        "key": f"node.kubernetes.io/{condition}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": NODE_LOSS_SECONDS,
    }
