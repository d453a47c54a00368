"""Every wish against everything that can be seen: which one step follows."""

import pytest

from app.k8s_service import INSTANCE_TYPES, NamespaceState, Observed
from app.models import ClusterPhase, InstanceStatus, InstanceType, Wanted
from app.reconciler.decide import NamespaceStep, Plan, Step, Verb, plan, step_for
from tests.unit.reconciler.rows import OURS, cluster, instance, picture, seen

S = InstanceStatus
OLD = 0
VIEWS: dict[str, Observed | None] = {
    "absent": None,
    "pending": seen(S.PENDING),
    "starting": seen(S.STARTING),
    "running": seen(S.RUNNING),
    "running, old": seen(S.RUNNING, incarnation=OLD),
    "running, unknown": seen(S.RUNNING, incarnation=None),
    "running, no suspend": seen(S.RUNNING, suspend=None),
    "stopping": seen(S.STOPPING),
    "stopped": seen(S.STOPPED),
    "stopped, old": seen(S.STOPPED, incarnation=OLD),
    "suspending": seen(S.SUSPENDING),
    "suspended": seen(S.SUSPENDED),
    "suspended, old": seen(S.SUSPENDED, incarnation=OLD),
    "failed": seen(S.FAILED),
    "lost": seen(S.FAILED, lost=True),
    "deleting": seen(S.STOPPING, deleting=True),
    "completed": seen(S.STOPPED, ended="completed"),
    "completed, old": seen(S.STOPPED, ended="completed", incarnation=OLD),
    "failed for good": seen(S.STARTING, ended="failed"),
    "to be rerun": seen(S.STARTING, rerun=True),
}
TABLE: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    # seen                 wanted running  stopped       suspended  absent
    "absent":              ("apply",       "kept:apply", None,      "confirm"),
    "pending":             (None,          "stop",       None,      "delete"),
    "starting":            (None,          "stop",       None,      "delete"),
    "running":             (None,          "stop",       "suspend", "delete"),
    "running, old":        ("restart",     "stop",       "suspend", "delete"),
    "running, unknown":    (None,          "stop",       "suspend", "delete"),
    "running, no suspend": (None,          "stop",       None,      "delete"),
    "stopping":            ("start",       "stop",       None,      "delete"),
    "stopped":             ("start",       None,         None,      "delete"),
    "stopped, old":        ("start",       None,         None,      "delete"),
    "suspending":          ("resume",      "stop",       None,      "delete"),
    "suspended":           ("resume",      "stop",       None,      "delete"),
    "suspended, old":      ("restart",     "stop",       None,      "delete"),
    "failed":              (None,          "stop",       None,      "delete"),
    "lost":                ("delete",      "stop",       None,      "delete"),
    "deleting":            (None,          None,         None,      None),
    "completed":           (None,          "kept:stop",  None,      "delete"),
    "completed, old":      ("kept:start",  "kept:stop",  None,      "delete"),
    "failed for good":     (None,          "stop",       None,      "delete"),
    "to be rerun":         ("restart",     "stop",       None,      "delete"),
}  # fmt: skip
OTHERWISE = {"kept:start": "delete"}
WISHES = (Wanted.RUNNING, Wanted.STOPPED, Wanted.SUSPENDED, Wanted.ABSENT)


@pytest.mark.parametrize("instance_type", list(InstanceType))
@pytest.mark.parametrize("view", TABLE)
@pytest.mark.parametrize("wanted", WISHES)
def test_the_table(instance_type: InstanceType, view: str, wanted: Wanted) -> None:
    kept = INSTANCE_TYPES[instance_type].kept_when_stopped
    expected = TABLE[view][WISHES.index(wanted)]
    if expected is not None and expected.startswith("kept:"):
        expected = expected.removeprefix("kept:") if kept else OTHERWISE.get(expected)
    assert step_for(wanted, VIEWS[view], 1, kept_when_stopped=kept) == expected


def test_the_table_is_whole() -> None:
    assert TABLE.keys() == VIEWS.keys()
    assert {view.status for view in VIEWS.values() if view is not None} == set(S) - {S.DELETING}


def test_absence_is_not_confirmed_while_something_may_still_show() -> None:
    assert step_for(Wanted.ABSENT, None, 1, kept_when_stopped=False, known_gone=False) is None


def test_the_namespace_comes_first() -> None:
    row = cluster()
    one = instance(row)
    assert plan(picture(row, [one], namespace=None)) == Plan(NamespaceStep.ENSURE, (Step(Verb.APPLY, one.id),))
    assert plan(picture(row, [one], furnished=False)) == Plan(NamespaceStep.ENSURE, (Step(Verb.APPLY, one.id),))
    assert plan(picture(row, [one])) == Plan(None, (Step(Verb.APPLY, one.id),))


def test_a_foreign_namespace_gets_no_step_but_another_name() -> None:
    row = cluster()
    foreign = NamespaceState("other", foreign=True)
    assert plan(picture(row, [instance(row)], namespace=foreign)) == Plan(NamespaceStep.RENAME)


def test_a_leaving_namespace_is_waited_for() -> None:
    row = cluster()
    leaving = NamespaceState("ns-1", terminating=True)
    assert plan(picture(row, [instance(row)], namespace=leaving)) == Plan()


def test_a_kind_that_cannot_exist_gets_no_step() -> None:
    row = cluster(instance_type="vm")
    assert plan(picture(row, [instance(row)], unavailable="no KubeVirt")) == Plan()


def test_what_was_done_and_does_not_show_yet_is_not_done_again() -> None:
    row = cluster()
    one = instance(row)
    assert plan(picture(row, [one], unseen={one.id: Verb.APPLY})) == Plan()
    one.wanted = Wanted.STOPPED
    running = picture(row, [one], [seen()], unseen={one.id: Verb.APPLY})
    assert plan(running) == Plan(None, (Step(Verb.STOP, one.id),))


@pytest.mark.parametrize(
    ("instance_type", "view", "expected"),
    [
        ("container", "running", "delete"),
        ("container", "suspended", "delete"),
        ("container", "deleting", NamespaceStep.RELEASE),
        ("container", "absent", NamespaceStep.RELEASE),
        ("vm", "running", "delete"),
        ("vm", "stopped", "delete"),
        ("vm", "deleting", None),
        ("vm", "absent", NamespaceStep.RELEASE),
    ],
)
def test_deletion_takes_instances_first(instance_type: str, view: str, expected: str | None) -> None:
    row = cluster(phase=ClusterPhase.DELETING, instance_type=instance_type)
    one = instance(row, wanted=Wanted.ABSENT, status=S.DELETING)
    for namespace in (OURS, None, NamespaceState("ns-1", terminating=True)):
        found = plan(picture(row, [one], [VIEWS[view]], namespace=namespace))
        if expected == "delete":
            assert found == Plan(None, (Step(Verb.DELETE, one.id),))
        else:
            assert found == Plan(expected)  # type: ignore[arg-type]


def test_deletion_waits_for_what_was_just_made_and_for_strangers() -> None:
    row = cluster(phase=ClusterPhase.DELETING, instance_type="vm")
    one = instance(row, wanted=Wanted.ABSENT)
    assert plan(picture(row, [one], unseen={one.id: Verb.APPLY})) == Plan()
    assert plan(picture(row, [one], strangers=1)) == Plan(None, (), strangers=True)
