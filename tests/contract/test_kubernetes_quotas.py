"""ResourceQuota and LimitRange: charged at creation, released when it is gone, worded as clients match it."""

import time

import pytest

from tests.contract.cluster_api import PATIENCE, ClusterApi, Json, Namespace, pod


def quota(hard: Json) -> Json:
    return {"metadata": {"name": "q"}, "spec": {"hard": hard}}


@pytest.fixture
def pods(cluster_api: ClusterApi, namespace: Namespace) -> str:
    """The path of the Pods of a namespace with room for one core and two Pods."""
    hard = {"requests.cpu": "1", "pods": "2"}
    cluster_api.post(namespace.of("resourcequotas"), quota(hard)).ok(201)
    cluster_api.until(namespace.of("resourcequotas", "q"), lambda obj: "used" in (obj.get("status") or {}))
    return namespace.of("pods")


def test_what_does_not_fit_is_forbidden(cluster_api: ClusterApi, namespace: Namespace, pods: str) -> None:
    cluster_api.post(pods, pod("a", cpu="700m")).ok(201)
    status = cluster_api.post(pods, pod("b", cpu="700m")).refused(403, "Forbidden")
    assert status["message"] == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=700m, '
        "used: requests.cpu=700m, limited: requests.cpu=1"
    )
    used = cluster_api.get(namespace.of("resourcequotas", "q")).ok()["status"]["used"]
    assert used == {"requests.cpu": "700m", "pods": "1"}


def test_what_says_nothing_is_forbidden(cluster_api: ClusterApi, pods: str) -> None:
    status = cluster_api.post(pods, pod("a")).refused(403, "Forbidden")
    assert status["message"] == 'pods "a" is forbidden: failed quota: q: must specify requests.cpu for: main'


def test_a_dry_run_is_not_charged(cluster_api: ClusterApi, namespace: Namespace, pods: str) -> None:
    cluster_api.post(f"{pods}?dryRun=All", pod("a", cpu="700m")).ok(201)
    assert cluster_api.get(namespace.of("resourcequotas", "q")).ok()["status"]["used"]["pods"] == "0"


def test_what_is_gone_is_released(cluster_api: ClusterApi, namespace: Namespace, pods: str) -> None:
    cluster_api.post(pods, pod("a", cpu="1")).ok(201)
    cluster_api.post(pods, pod("b", cpu="1m")).refused(403, "Forbidden")
    cluster_api.delete(f"{pods}/a", {"gracePeriodSeconds": 0}).ok(200)
    released = {"requests.cpu": "0", "pods": "0"}
    cluster_api.until(namespace.of("resourcequotas", "q"), lambda obj: obj["status"]["used"] == released)
    deadline = time.monotonic() + PATIENCE
    while (answer := cluster_api.post(pods, pod("b", cpu="1"))).status == 403:
        # A real API server charges against its own, slightly older copy of the quota.
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    answer.ok(201)


def test_objects_are_counted(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("secrets")
    cluster_api.post(namespace.of("resourcequotas"), quota({"count/secrets": "1"})).ok(201)
    cluster_api.until(namespace.of("resourcequotas", "q"), lambda obj: "used" in (obj.get("status") or {}))
    cluster_api.post(path, {"metadata": {"name": "a"}}).ok(201)
    status = cluster_api.post(path, {"metadata": {"name": "b"}}).refused(403, "Forbidden")
    assert status["message"] == (
        'secrets "b" is forbidden: exceeded quota: q, requested: count/secrets=1, '
        "used: count/secrets=1, limited: count/secrets=1"
    )


def test_limit_ranges_fill_in_and_refuse(cluster_api: ClusterApi, namespace: Namespace) -> None:
    limit = {"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}, "min": {"cpu": "100m"}}
    made = cluster_api.post(namespace.of("limitranges"), {"metadata": {"name": "l"}, "spec": {"limits": [limit]}})
    assert made.ok(201)["spec"]["limits"][0]["defaultRequest"] == {"cpu": "1"}
    filled = cluster_api.post(namespace.of("pods"), pod("a")).ok(201)
    assert filled["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    said = "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    assert filled["metadata"]["annotations"] == {"kubernetes.io/limit-ranger": said}
    large = cluster_api.post(namespace.of("pods"), pod("b", cpu="3")).refused(403, "Forbidden")
    assert large["message"] == 'pods "b" is forbidden: maximum cpu usage per Container is 2, but limit is 3'
    small = cluster_api.post(namespace.of("pods"), pod("b", cpu="50m")).refused(403, "Forbidden")
    assert small["message"] == 'pods "b" is forbidden: minimum cpu usage per Container is 100m, but request is 50m'
