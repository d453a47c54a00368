"""Decisions fed back into a toy Kubernetes: from anywhere, whatever happens in between, it ends as wished and rests."""

import uuid
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.k8s_service import NamespaceState, Observed
from app.models import Cluster, ClusterPhase, Instance, InstanceStatus, InstanceType, Wanted
from app.reconciler.decide import NamespaceStep, Outcome, Plan, Verb, judge, plan
from app.rules.lifecycle import as_wished
from tests.unit.reconciler.rows import cluster, instance, later, picture, seen

S = InstanceStatus
ROUNDS = 30
FOREIGN = NamespaceState("theirs", foreign=True)

views = st.one_of(
    st.none(),
    st.builds(
        lambda status, incarnation, lost: seen(status, incarnation=incarnation, lost=lost),
        st.sampled_from([S.PENDING, S.STARTING, S.RUNNING, S.SUSPENDING, S.SUSPENDED]),
        st.sampled_from([1, 2]),
        st.booleans(),
    ),
    st.just(seen(S.STOPPING, deleting=True)),
)
wishes = st.sampled_from([Wanted.RUNNING, Wanted.STOPPED, Wanted.SUSPENDED])
statuses = st.sampled_from([s for s in S if s is not S.DELETING])


class Toy:
    """Kubernetes for one cluster, one small change per round."""

    def __init__(self, row: Cluster, instances: list[Instance], views: dict[uuid.UUID, Observed | None]) -> None:
        self.row = row
        self.instances = instances
        self.views = views
        self.namespace: NamespaceState | None = None
        self.vm = row.instance_type == InstanceType.VM
        self.last = Plan()

    def round(self, seconds: int) -> bool:
        """Whether anything changed or was done."""
        one = picture(self.row, self.instances, [self.views[i.id] for i in self.instances], namespace=self.namespace)
        self.last = plan(one)
        outcome = self._act(self.last)
        verdict = judge(one, outcome, later(seconds))
        for row in self.instances:
            for name, value in verdict.instances.get(row.id, {}).items():
                setattr(row, name, value)
        for name, value in verdict.cluster.items():
            setattr(self.row, name, value)
        moved = [self._move(i.id) for i in self.instances]
        return any(moved) or self.last != Plan() or bool(verdict.instances or verdict.cluster)

    def _act(self, todo: Plan) -> Outcome:
        assert not (todo.namespace and self.namespace is FOREIGN and todo.namespace is not NamespaceStep.RENAME)
        assert max(Counter(step.instance_id for step in todo.steps).values(), default=0) <= 1
        if todo.namespace is NamespaceStep.RENAME:
            assert todo.steps == ()
            self.namespace = None
            return Outcome()
        if todo.namespace is NamespaceStep.ENSURE:
            self.namespace = NamespaceState("ns-2")
        for step in todo.steps:
            self._take(step.verb, next(i for i in self.instances if i.id == step.instance_id))
        if todo.namespace is NamespaceStep.RELEASE:
            gone, self.namespace = self.namespace is None, None
            return Outcome(gone=gone)
        return Outcome(namespace_uid=self.namespace.uid if self.namespace else None)

    def _take(self, verb: Verb, row: Instance) -> None:
        now = self.views[row.id]
        fresh = seen(S.PENDING, uid=str(uuid.uuid4()), incarnation=row.incarnation)
        leaving = seen(S.STOPPING, deleting=True)
        stopping = seen(S.STOPPING) if self.vm else leaving
        if verb is Verb.APPLY:
            assert now is None, "made twice"
            assert self.namespace is not None, "made without its namespace"
            self.views[row.id] = seen(S.STOPPED) if row.wanted != Wanted.RUNNING else fresh
            return
        assert now is not None, f"{verb} of nothing"
        after = {
            Verb.START: fresh,
            Verb.STOP: stopping,
            Verb.DELETE: leaving,
            Verb.RESTART: fresh if self.vm else leaving,
            Verb.SUSPEND: replace(now, status=S.SUSPENDED),
            Verb.RESUME: replace(now, status=S.RUNNING),
        }
        self.views[row.id] = after[verb]

    def _move(self, key: uuid.UUID) -> bool:
        now = self.views[key]
        if now is None or now.lost:
            return False
        if now.deleting:
            self.views[key] = None
            return True
        onward = {S.PENDING: S.STARTING, S.STARTING: S.RUNNING, S.STOPPING: S.STOPPED, S.SUSPENDING: S.SUSPENDED}
        if now.status in onward:
            self.views[key] = replace(now, status=onward[now.status])
        return now.status in onward


@st.composite
def toys(draw: st.DrawFn) -> Toy:
    row = cluster(
        instance_type=draw(st.sampled_from(list(InstanceType))),
        phase=draw(st.sampled_from([p for p in ClusterPhase if p is not ClusterPhase.DELETING])),
    )
    ones = [
        instance(row, n, wanted=draw(wishes), status=draw(statuses), incarnation=draw(st.sampled_from([1, 2])))
        for n in range(1, draw(st.integers(1, 4)) + 1)
    ]
    toy = Toy(row, ones, {i.id: draw(views) for i in ones})
    toy.namespace = draw(st.sampled_from([None, NamespaceState("ns-1"), FOREIGN]))
    if toy.namespace in (None, FOREIGN):
        toy.views = dict.fromkeys(toy.views)
    return toy


@settings(max_examples=60, deadline=None)
@given(toys(), st.lists(st.tuples(st.integers(0, 3), st.one_of(views, wishes)), max_size=6))
def test_it_converges_and_then_rests(toy: Toy, disturbances: list[tuple[int, Observed | Wanted | None]]) -> None:
    for which, what in disturbances:
        row = toy.instances[which % len(toy.instances)]
        toy.round(0)
        if isinstance(what, Wanted):
            row.wanted = what
        elif toy.namespace not in (None, FOREIGN):
            toy.views[row.id] = what
    assert not all(toy.round(n) for n in range(ROUNDS)), "it never rests"
    assert toy.last == Plan()
    assert all(as_wished(i.wanted, i.status) for i in toy.instances)
    assert (toy.row.phase, toy.row.ready_instances) == (ClusterPhase.RUNNING, len(toy.instances))


@settings(max_examples=40, deadline=None)
@given(toys())
def test_deletion_ends_with_nothing(toy: Toy) -> None:
    foreign = toy.namespace is FOREIGN
    toy.row.phase = ClusterPhase.DELETING
    for row in toy.instances:
        row.wanted = Wanted.ABSENT
    if foreign:
        toy.namespace = None
    for n in range(ROUNDS):
        toy.round(n)
    assert toy.last == Plan(NamespaceStep.RELEASE)
    assert toy.namespace is None
    assert set(toy.views.values()) == {None}
