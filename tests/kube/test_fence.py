"""What CMP's own account cannot do on the real API server, and what nobody can do in a tenant namespace."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.instance_types.container import Container
from app.k8s_service import INSTANCE_TYPES, ClusterRef, KubeTarget
from app.kube.client import KubeClient
from app.kube.errors import Refusal
from app.kube.kinds import CLAIM, KINDS, NAMESPACE, POD, SECRET, SERVICE, VIRTUAL_MACHINE, Kind
from app.kube.rights import RIGHTS
from app.models import InstanceType
from testbed.kubernetes import ControlPlane
from tests.kube.conftest import Rig, instance, serviced
from tests.kube.rights import with_our_rights

pytestmark = pytest.mark.kubernetes

ACCOUNT = "system:serviceaccount:cmp-system:cmp"
VERBS = (
    "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind",
    "escalate", "use", "approve", "sign", "attest", "proxy",
)  # fmt: skip
# What Kubernetes gives to everybody who has an account: to ask who one is and what one may.
EVERYBODYS = {
    ("authentication.k8s.io", "selfsubjectreviews", "create"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
}
HOSTILE: dict[str, dict[str, Any]] = {
    "privileged": {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]},
    "hostPath": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "hostNetwork": {"hostNetwork": True},
    "hostPID": {"hostPID": True},
    "hostIPC": {"hostIPC": True},
}
BEYOND_BASELINE: dict[str, dict[str, Any]] = {
    "token": {"automountServiceAccountToken": True},
    "account": {"serviceAccountName": "other"},
    "projected": {"volumes": [{"name": "v", "projected": {"sources": []}}]},
    "secret": {"volumes": [{"name": "v", "secret": {"secretName": "x"}}]},
    "unconfined": {"securityContext": {}},
}


@pytest.fixture(scope="module")
def answers(control_plane: ControlPlane) -> dict[tuple[str, str, str], bool]:
    """What the API server's authorizer says of each verb on each resource that it serves, to CMP's account."""
    with_our_rights(control_plane)
    return asyncio.run(_probed(control_plane))


async def _probed(plane: ControlPlane) -> dict[tuple[str, str, str], bool]:
    admin = await KubeClient.connect(kube_admin(plane))
    limit, found = asyncio.Semaphore(16), {}

    async def ask(group: str, resource: str, verb: str) -> None:
        name, _, subresource = resource.partition("/")
        attributes = {"group": group, "resource": name, "subresource": subresource, "verb": verb, "namespace": "x"}
        groups = ["system:serviceaccounts", "system:serviceaccounts:cmp-system", "system:authenticated"]
        spec = {"user": ACCOUNT, "groups": groups, "resourceAttributes": attributes}
        review = Kind("SubjectAccessReview", "authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
        body = {"apiVersion": review.api_version, "kind": review.name, "metadata": {}, "spec": spec}
        async with limit:
            answer = await admin.create(review, None, body, "test")
        found[group, resource, verb] = bool(answer["status"]["allowed"])

    try:
        served = resources_of(plane) | {(r.group, name) for r in RIGHTS for name in r.resources.split()}
        served |= {("", "users"), ("", "groups"), ("*", "*")}
        await asyncio.gather(*(ask(group, name, verb) for group, name in served for verb in VERBS))
    finally:
        await admin.close()
    return found


def kube_admin(plane: ControlPlane) -> KubeTarget:
    return KubeTarget.kubeconfig(plane.kubeconfig)


def resources_of(plane: ControlPlane) -> set[tuple[str, str]]:
    groups = json.loads(plane.kubectl("get", "--raw", "/apis"))["groups"]
    paths = {"": "/api/v1"} | {each["name"]: f"/apis/{each['preferredVersion']['groupVersion']}" for each in groups}
    return {
        (group, resource["name"])
        for group, path in paths.items()
        for resource in json.loads(plane.kubectl("get", "--raw", path))["resources"]
    }


def test_everything_outside_the_list_is_refused(answers: dict[tuple[str, str, str], bool]) -> None:
    ours = {(r.group, name, verb) for r in RIGHTS for name in r.resources.split() for verb in r.verbs.split()}
    assert {key for key, allowed in answers.items() if allowed} == ours | EVERYBODYS
    assert len(answers) > 1000
    print(f"{len(answers)} questions, {sum(answers.values())} allowed")


@pytest.fixture
async def rig(control_plane: ControlPlane) -> AsyncIterator[Rig]:
    async with serviced(with_our_rights(control_plane)) as made:
        yield made


@pytest.fixture
async def cluster(rig: Rig) -> ClusterRef:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    return cluster


def pod(cluster: ClusterRef, changes: dict[str, Any]) -> dict[str, Any]:
    made = Container().manifest(instance(cluster))
    made["metadata"] |= {"name": "hostile"}
    made["spec"] |= changes
    return made


async def refused(client: KubeClient, kind: Kind, namespace: str | None, body: dict[str, Any]) -> str:
    with pytest.raises(Refusal) as caught:
        await client.create(kind, namespace, body, "test")
    assert caught.value.code in (403, 422), caught.value
    return caught.value.message


@pytest.mark.parametrize("what", HOSTILE)
async def test_nobody_runs_that_in_a_tenant_namespace(
    rig: Rig, cluster: ClusterRef, control_plane: ControlPlane, what: str
) -> None:
    admin = await KubeClient.connect(kube_admin(control_plane))
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hostile"}}
    body["spec"] = {"containers": [{"name": "a", "image": "a"}]} | HOSTILE[what]
    assert "violates PodSecurity" in await refused(admin, POD, cluster.namespace, body)
    await admin.close()


@pytest.mark.parametrize("what", [*HOSTILE, *BEYOND_BASELINE])
async def test_nor_does_cmp_even_where_no_level_is_enforced(
    rig: Rig, cluster: ClusterRef, control_plane: ControlPlane, what: str
) -> None:
    control_plane.kubectl(
        "label", "namespace", cluster.namespace, "--overwrite", "pod-security.kubernetes.io/enforce=privileged"
    )
    said = await refused(rig.service._client, POD, cluster.namespace, pod(cluster, (HOSTILE | BEYOND_BASELINE)[what]))
    assert "cmp-fence-pods" in said or (what == "account" and "serviceaccount" in said)


async def test_cmp_writes_only_in_namespaces_that_it_made(rig: Rig, control_plane: ControlPlane) -> None:
    client = rig.service._client
    cluster = rig.cluster()
    for space in ("default", "kube-system", "cmp-system"):
        assert "cmp-fence-where" in await refused(client, POD, space, pod(replace(cluster, namespace=space), {}))
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
        assert "cmp-fence-where" in await refused(client, SECRET, space, secret)
        patch = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "cmp"}}}
        with pytest.raises(Refusal, match="cmp-fence-namespaces"):
            await client.merge(NAMESPACE, None, space, patch, "test")
        uid = json.loads(control_plane.kubectl("get", "namespace", space, "-o", "json"))["metadata"]["uid"]
        with pytest.raises(Refusal, match=r"cmp-fence-namespaces|may not be deleted"):
            await client.delete(NAMESPACE, None, space, uid)
    with pytest.raises(Refusal, match="cmp-fence-where"):
        await client._call("x", POD, "POST", "/api/v1/namespaces/kube-system/pods/x/exec?command=sh&stdout=1")
    bare = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    assert "cmp-fence-namespaces" in await refused(client, NAMESPACE, None, bare)


async def test_cmp_makes_no_other_objects_than_instances_need(rig: Rig, cluster: ClusterRef) -> None:
    client, space = rig.service._client, cluster.namespace
    bodies: list[tuple[str, Kind, dict[str, Any]]] = [
        ("secrets", SECRET, {"type": "kubernetes.io/service-account-token"}),
        ("services", SERVICE, {"spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
        ("services", SERVICE, {"spec": {"externalIPs": ["192.0.2.1"], "ports": [{"port": 80}]}}),
        ("accounts", KINDS["ServiceAccount"], {}),
        ("claims", CLAIM, {"spec": _claim(volumeName="pv-1")}),
    ]
    for policy, kind, content in bodies:
        metadata = {"name": "x", "annotations": {"kubernetes.io/service-account.name": "default"}}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **content}
        assert f"cmp-fence-{policy}" in await refused(client, kind, space, body)
    for hostile in (
        {"hostDisk": {"path": "/d", "type": "Disk"}},
        {"serviceAccount": {"serviceAccountName": "default"}},
    ):
        machine = INSTANCE_TYPES[InstanceType.VM].manifest(instance(cluster, kind=InstanceType.VM))
        machine["spec"]["template"]["spec"]["volumes"].append({"name": "bad", **hostile})
        assert "cmp-fence-machines" in await refused(client, VIRTUAL_MACHINE, space, machine)
    with pytest.raises(Refusal) as caught:
        await client.get(SECRET, space, "x")
    assert caught.value.code == 403


def _claim(**more: Any) -> dict[str, Any]:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **more}
