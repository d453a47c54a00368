"""watch: what is sent, in which order, from where on, and to whom."""

from tests.contract.cluster_api import ClusterApi, Namespace, config_map

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


def test_changes_after_a_version_come_in_order(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("old")).ok(201)
    since = cluster_api.revision(path)
    cluster_api.post(path, config_map("a")).ok(201)
    with cluster_api.watch(path, f"resourceVersion={since}") as watch:
        cluster_api.patch(f"{path}/a", {"data": {"k": "1"}}).ok(200)
        cluster_api.delete(f"{path}/a").ok(200)
        seen = watch.take(3)
    assert [(event.type, event.name) for event in seen] == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert seen[1].object["data"] == {"k": "1"}
    assert seen[0].object["kind"] == "ConfigMap"
    assert int(since) < seen[0].revision < seen[1].revision < seen[2].revision


def test_the_last_state_is_sent_with_the_deletion(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("a", {"k": "1"}, labels={"x": "1"})).ok(201)
    since = cluster_api.revision(path)
    cluster_api.delete(f"{path}/a").ok(200)
    with cluster_api.watch(path, f"resourceVersion={since}") as watch:
        deleted = watch.next()
    assert deleted.type == "DELETED"
    assert deleted.object["data"] == {"k": "1"}
    assert deleted.revision > int(since)


def test_without_a_version_everything_is_added_first(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    for name in "ab":
        cluster_api.post(path, config_map(name, labels={"mine": "1"})).ok(201)
    for query in ("", "resourceVersion=0&"):
        with cluster_api.watch(path, f"{query}labelSelector=mine") as watch:
            seen = watch.take(2)
            cluster_api.patch(f"{path}/a", {"data": {"q": query}}).ok(200)
            assert watch.next().type == "MODIFIED"
        assert sorted((event.type, event.name) for event in seen) == [("ADDED", "a"), ("ADDED", "b")]


def test_a_write_that_changes_nothing_is_no_event(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("a", {"k": "1"})).ok(201)
    with cluster_api.watch(path, f"resourceVersion={cluster_api.revision(path)}") as watch:
        cluster_api.patch(f"{path}/a", {"data": {"k": "1"}}).ok(200)
        cluster_api.patch(f"{path}/a", {"data": {"k": "2"}}).ok(200)
        assert watch.next().object["data"] == {"k": "2"}


def test_losing_the_label_is_a_deletion(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("a", labels={"x": "1"})).ok(201)
    with cluster_api.watch(path, f"labelSelector=x%3D1&resourceVersion={cluster_api.revision(path)}") as watch:
        left = cluster_api.patch(f"{path}/a", {"metadata": {"labels": {"x": "2"}}}).ok(200)
        cluster_api.patch(f"{path}/a", {"data": {"k": "unseen"}}).ok(200)
        cluster_api.patch(f"{path}/a", {"metadata": {"labels": {"x": "1"}}}).ok(200)
        deleted, added = watch.take(2)
    assert deleted.type == "DELETED"
    assert deleted.object["metadata"]["labels"] == {"x": "1"}
    assert deleted.revision == int(left["metadata"]["resourceVersion"])
    assert added.type == "ADDED"
    assert added.object["data"] == {"k": "unseen"}


def test_one_namespace_or_all(cluster_api: ClusterApi, namespace: Namespace) -> None:
    other = cluster_api.make_namespace()
    label = {"watch-of": namespace.name}
    query = f"labelSelector=watch-of%3D{namespace.name}&resourceVersion={cluster_api.revision('/api/v1/configmaps')}"
    with (
        cluster_api.watch(namespace.of("configmaps"), query) as one,
        cluster_api.watch("/api/v1/configmaps", query) as all_,
    ):
        cluster_api.post(other.of("configmaps"), config_map("there", labels=label)).ok(201)
        cluster_api.post(namespace.of("configmaps"), config_map("here", labels=label)).ok(201)
        assert [event.name for event in all_.take(2)] == ["there", "here"]
        assert one.next().name == "here"
    cluster_api.delete(other.path)


def test_one_object_by_name(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("a")).ok(201)
    with cluster_api.watch(path, "fieldSelector=metadata.name%3Da") as watch:
        assert watch.next().type == "ADDED"
        cluster_api.post(path, config_map("b")).ok(201)
        cluster_api.delete(f"{path}/a").ok(200)
        assert [(event.type, event.name) for event in watch.take(1)] == [("DELETED", "a")]


def test_the_server_ends_a_watch_in_time(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    with cluster_api.watch(path, f"timeoutSeconds=1&resourceVersion={cluster_api.revision(path)}") as watch:
        assert watch.rest() == []


def test_bookmarks_carry_a_version(cluster_api: ClusterApi, namespace: Namespace) -> None:
    """A real server sends one just before it ends the watch; ours also sends them while nothing happens."""
    path = namespace.of("configmaps")
    since = cluster_api.revision(path)
    cluster_api.post(namespace.of("secrets"), {"metadata": {"name": "moves-the-version"}}).ok(201)
    with cluster_api.watch(path, f"timeoutSeconds=4&allowWatchBookmarks=true&resourceVersion={since}") as watch:
        cluster_api.post(path, config_map("a")).ok(201)
        seen = watch.rest()
    assert seen[0].name == "a"
    marks = [event for event in seen if event.type == "BOOKMARK"]
    assert marks
    assert marks[-1].object["kind"] == "ConfigMap"
    assert marks[-1].revision >= seen[0].revision
    assert set(marks[-1].object["metadata"]) == {"resourceVersion"}


def test_initial_events_end_with_a_bookmark(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("a", labels={"mine": "1"})).ok(201)
    with cluster_api.watch(path, f"{INITIAL}&allowWatchBookmarks=true&labelSelector=mine") as watch:
        added, end = watch.take(2)
    assert (added.type, added.name) == ("ADDED", "a")
    assert end.type == "BOOKMARK"
    assert end.object["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end.revision >= added.revision
    status = cluster_api.get(f"{path}?watch=1&sendInitialEvents=true").refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "resourceVersionMatch"


def test_a_version_that_is_none(cluster_api: ClusterApi, namespace: Namespace) -> None:
    assert cluster_api.get(f"{namespace.of('configmaps')}?watch=1&resourceVersion=x").status == 500


def test_other_forms(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    for name in "ab":
        cluster_api.post(path, config_map(name, labels={"mine": "1"})).ok(201)
    with cluster_api.watch(path, "labelSelector=mine", accept=TABLE) as watch:
        first, second = watch.take(2)
    assert first.object["kind"] == "Table"
    assert first.object["rows"][0]["cells"][0] == "a"
    assert first.object["columnDefinitions"]
    assert not second.object["columnDefinitions"]
    with cluster_api.watch(path, "labelSelector=mine", accept=PARTIAL) as watch:
        assert watch.next().object["kind"] == "PartialObjectMetadata"


def test_a_finalizer_shows_before_the_deletion(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(path, config_map("a", finalizers=["example.com/hold"])).ok(201)
    with cluster_api.watch(path, f"resourceVersion={cluster_api.revision(path)}") as watch:
        cluster_api.delete(f"{path}/a").ok(200)
        cluster_api.patch(f"{path}/a", {"metadata": {"finalizers": None}}).ok(200)
        marked, gone = watch.take(2)
    assert marked.type == "MODIFIED"
    assert marked.object["metadata"]["deletionTimestamp"]
    assert gone.type == "DELETED"
