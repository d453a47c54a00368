"""How logs, commands and ports are refused before any node is asked: the same words from both servers."""

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.contract.cluster_api import ClusterApi, Namespace, is_true, machine, pod, running


@pytest.fixture
def there(cluster_api: ClusterApi, namespace: Namespace) -> str:
    """The path of a Pod that runs."""
    path = f"{namespace.of('pods')}/a"
    cluster_api.post(namespace.of("pods"), pod("a")).ok(201)
    cluster_api.until(path, running)
    return path


@pytest.mark.parametrize("way", ["log", "exec?command=ls", "portforward?ports=80"])
def test_of_a_pod_that_is_not_there(cluster_api: ClusterApi, namespace: Namespace, way: str) -> None:
    refused = cluster_api.get(f"{namespace.of('pods')}/missing/{way}").refused(404, "NotFound")
    assert refused["message"] == 'pods "missing" not found'


@pytest.mark.parametrize("way", ["log", "exec", "exec?command=ls&"])
def test_of_a_container_that_is_not_there(cluster_api: ClusterApi, there: str, way: str) -> None:
    sign = "" if "?" in way else "?"
    refused = cluster_api.get(f"{there}/{way}{sign}container=other").refused(400, "BadRequest")
    assert refused["message"] == "container other is not valid for pod a"


@pytest.mark.parametrize("way", ["exec?command=ls", "exec", "portforward?ports=80", "portforward"])
def test_without_an_upgrade(cluster_api: ClusterApi, there: str, way: str) -> None:
    refused = cluster_api.get(f"{there}/{way}").refused(400, "BadRequest")
    assert refused["message"] == "Upgrade request required"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
            "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
def test_what_of_a_log_cannot_be_wanted(cluster_api: ClusterApi, there: str, query: str, words: str) -> None:
    refused = cluster_api.get(f"{there}/log?{query}").refused(422, "Invalid")
    assert refused["message"] == f'PodLogOptions "a" is invalid: {words}'


@pytest.mark.parametrize(
    ("way", "protocol"),
    [("exec?command=ls&stdout=true", "v5.channel.k8s.io"), ("portforward?ports=80", "v4.channel.k8s.io")],
)
def test_a_refused_websocket_is_answered_by_http(
    cluster_api: ClusterApi, namespace: Namespace, way: str, protocol: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _dial(cluster_api, f"{namespace.of('pods')}/missing/{way}", protocol)
    assert refused.value.response.status_code == 404
    assert b'pods \\"missing\\" not found' in (refused.value.response.body or b"")


@pytest.mark.parametrize("way", ["console", "vnc", "portforward/80/tcp"])
def test_ways_into_a_machine(with_kubevirt: ClusterApi, namespace: Namespace, way: str) -> None:
    """Source: kubevirt pkg/virt-api/rest/{console,vnc,portforward,dialers}.go at v1.9.0."""
    base = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace.name}/virtualmachineinstances/vm"

    def refused() -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as error:
            _dial(with_kubevirt, f"{base}/{way}", "plain.kubevirt.io")
        body = json.loads(error.value.response.body or b"{}")
        return error.value.response.status_code, body["message"]

    assert refused() == (404, 'virtualmachineinstance.kubevirt.io "vm" not found')
    with_kubevirt.post(namespace.machines(), machine("vm", "Always")).ok(201)
    path = namespace.machines("vm", "virtualmachineinstances")
    with_kubevirt.until(path, lambda obj: (obj.get("status") or {}).get("phase") == "Running")
    with _dial(with_kubevirt, f"{base}/{way}", "plain.kubevirt.io") as connection:
        assert connection.subprotocol == "plain.kubevirt.io"
    with_kubevirt.call("PUT", f"{base}/pause").ok(200)
    with_kubevirt.until(path, lambda obj: is_true(obj, "Paused"))
    if way.startswith("portforward"):
        conflict = 'Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "vm": VMI is paused'
        assert refused() == (409, conflict)


def _dial(api: ClusterApi, path: str, protocol: str) -> ClientConnection:
    url = api.url.replace("http", "ws", 1) + path
    return connect(url, subprotocols=[Subprotocol(protocol)], ssl=api.tls, compression=None, proxy=None)
