"""10,000 Pods: what a request touches must not grow with what is there. Counted, not timed."""

import pytest

from simulator.resources import CONFIGMAPS, PODS
from simulator.selectors import Selector, parse
from simulator.store import Collection, Event, Store
from simulator.types import Json

MANY = 10_000


class Counting(dict[tuple[str, str], object]):
    """The objects of a collection, counting how many are looked at."""

    looked_at = 0

    def __getitem__(self, key: tuple[str, str]) -> object:
        self.looked_at += 1
        return super().__getitem__(key)


def obj(namespace: str, name: str, **labels: str) -> Json:
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}", "labels": labels}
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}}


@pytest.fixture(scope="module")
def store() -> Store:
    made = Store(window=1_000)
    for number in range(MANY):
        made.put(PODS, obj(f"ns-{number % 100}", f"pod-{number}", cluster=str(number // 10), all="yes"))
    return made


def looked_at(store: Store, namespace: str, labels: str = "", fields: str = "") -> tuple[int, int]:
    """(found, looked at) by one list."""
    collection = store.collections[PODS]
    plain = collection.objects
    counting = Counting(plain)
    collection.objects = counting  # type: ignore[assignment]
    try:
        found = list(collection.select(namespace, parse(PODS, labels, fields)))
    finally:
        collection.objects = plain
    return len(found), counting.looked_at


def test_a_list_looks_at_what_it_answers(store: Store) -> None:
    assert looked_at(store, "") == (MANY, MANY)
    assert looked_at(store, "ns-7") == (100, 100)
    assert looked_at(store, "none") == (0, 0)


def test_a_label_is_an_index(store: Store) -> None:
    found, touched = looked_at(store, "", "cluster=7")
    assert found == 10
    assert touched <= 20
    found, touched = looked_at(store, "", "all=yes,cluster in (7)")
    assert found == 10
    assert touched <= 20
    assert looked_at(store, "", "cluster=none") == (0, 0)


def test_a_name_is_an_index(store: Store) -> None:
    found, touched = looked_at(store, "ns-7", fields="metadata.name=pod-7")
    assert found == 1
    assert touched <= 2


def test_lists_are_in_key_order(store: Store) -> None:
    keys = [stored.key for stored in store.collections[PODS].select("", Selector())]
    assert keys == sorted(keys)
    labelled = [stored.key for stored in store.collections[PODS].select("", parse(PODS, "all=yes", ""))]
    assert labelled == keys


def test_history_is_bounded_and_old_versions_are_refused(store: Store) -> None:
    collection = store.collections[PODS]
    assert len(collection.history) == 1_000
    assert collection.floor == store.revision - 1_000
    assert [event.revision for event in collection.since(store.revision - 3)] == [
        store.revision - 2,
        store.revision - 1,
        store.revision,
    ]


def test_an_event_reaches_only_those_who_watch_there() -> None:
    class Ear:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def offer(self, event: Event) -> None:
            self.heard.append(event.stored.key[1])

    store = Store(window=100)
    ears = {name: Ear() for name in ("", "a", "b", "other kind")}
    pods, maps = store.collections[PODS], store.collections[CONFIGMAPS]
    for name in ("", "a", "b"):
        pods.watchers[name] = {ears[name]}
    maps.watchers[""] = {ears["other kind"]}
    store.put(PODS, obj("a", "one"))
    store.put(PODS, obj("b", "two"))
    assert {name: ear.heard for name, ear in ears.items()} == {
        "": ["one", "two"],
        "a": ["one"],
        "b": ["two"],
        "other kind": [],
    }


def test_an_object_is_encoded_once_for_all(store: Store) -> None:
    stored = next(iter(store.collections[PODS].select("ns-1", Selector())))
    assert stored.item is stored.item
    event = Event("MODIFIED", stored.revision, stored, stored)
    assert event.line("MODIFIED") is event.line("MODIFIED")


def test_the_past_is_the_present_and_what_changed_since() -> None:
    collection = _changing()
    revisions = [0, *(event.revision for event in collection.history)]
    expected = {
        revisions[0]: [],
        revisions[1]: ["a"],
        revisions[2]: ["a", "b"],
        revisions[3]: ["a", "b"],
        revisions[4]: ["b"],
        revisions[5]: ["a", "b"],
    }
    for revision, names in expected.items():
        assert [stored.key[1] for stored in collection.at(revision, "", Selector())] == names
    changed = collection.at(revisions[2], "", parse(PODS, "v=1", ""))
    assert [stored.key[1] for stored in changed] == ["a", "b"]


def _changing() -> Collection:
    store = Store(window=100)
    store.put(PODS, obj("n", "a", v="1"))
    store.put(PODS, obj("n", "b", v="1"))
    store.put(PODS, obj("n", "b", v="2"))
    store.drop(PODS, ("n", "a"))
    store.put(PODS, obj("n", "a", v="3"))
    return store.collections[PODS]


def test_dropped_labels_leave_the_index() -> None:
    store = Store(window=10)
    store.put(PODS, obj("n", "a", x="1"))
    store.put(PODS, obj("n", "a", x="2"))
    collection = store.collections[PODS]
    assert list(collection.select("", parse(PODS, "x=1", ""))) == []
    assert [stored.key for stored in collection.select("", parse(PODS, "x=2", ""))] == [("n", "a")]
    store.drop(PODS, ("n", "a"))
    assert list(collection.select("", parse(PODS, "x=2", ""))) == []
    assert store.owned == {}
