from dataclasses import replace
from typing import Any

import pytest

from app.instance_types.values import InstanceSpec, Migration, Observed
from app.instance_types.virtual_machine import VirtualMachine
from app.models import InstanceOperation, InstanceStatus, Reason, Wanted
from tests.unit.instance_types.examples import VM, around, vm, vmi

machine = VirtualMachine()

FAILED_CREATE = {"status": "False", "reason": "FailedCreate"}
QUOTA = 'failed to create virtual machine pod: pods "virt-launcher-x" is forbidden: exceeded quota: cpu, requested: 2'
SECURITY = 'failed to create virtual machine pod: violates PodSecurity "restricted:latest"'


def observed(
    own: dict[str, Any] | None,
    running: dict[str, Any] | None = None,
    launcher: dict[str, Any] | None = None,
    *,
    ready: bool | None = True,
) -> Observed:
    kinds = {"VirtualMachine": own, "VirtualMachineInstance": running, "Pod": launcher}
    return machine.status_of({kind: obj for kind, obj in kinds.items() if obj is not None}, around(ready=ready))


def test_running() -> None:
    seen = observed(vm(printable="Running", created=True), vmi())
    assert seen == Observed(
        InstanceStatus.RUNNING,
        uid="vm-uid",
        run_uid="vmi-uid",
        incarnation=3,
        node="node-1",
        ip="10.0.0.7",
        suspend="vm-pause",
    )


@pytest.mark.parametrize("printable", [None, "Stopped"])
def test_a_fresh_vm_shows_stopped_and_is_not(printable: str | None) -> None:
    seen = observed(vm(printable=printable))
    assert (seen.status, seen.reason) == (InstanceStatus.PENDING, Reason.WAITING)


def test_halted_without_a_vmi_is_stopped() -> None:
    seen = observed(vm(strategy="Halted", printable="Stopped"))
    assert (seen.status, seen.reason, seen.incarnation) == (InstanceStatus.STOPPED, None, 3)
    assert observed(vm(strategy="Halted")).status is InstanceStatus.STOPPED


def test_stopped_is_shown_before_the_old_vmi_is_gone() -> None:
    halted = vm(strategy="Halted", printable="Stopped")
    assert observed(halted, vmi("Succeeded")).status is InstanceStatus.STOPPING
    assert observed(halted, vmi(deleted_at="2026-11-23T11:59:50Z")).status is InstanceStatus.STOPPING
    assert observed(vm(strategy="Halted", printable="Stopping", created=True)).status is InstanceStatus.STOPPING


def test_the_old_run_ends_before_the_next_begins() -> None:
    seen = observed(vm(printable="Stopping", created=True, incarnation=4), vmi(deleted_at="2026-11-23T11:59:50Z"))
    assert (seen.status, seen.incarnation, seen.deleting) == (InstanceStatus.STOPPING, 3, False)


def test_the_incarnation_is_that_of_what_runs() -> None:
    assert observed(vm(incarnation=4, created=True), vmi(incarnation=3)).incarnation == 3
    assert observed(vm(incarnation=4)).incarnation == 4
    assert observed(vm(incarnation=4, created=True)).incarnation is None, "it runs, but we have not seen what"


def test_running_needs_the_vmi_to_be_seen() -> None:
    seen = observed(vm(printable="Running", created=True))
    assert (seen.status, seen.reason) == (InstanceStatus.STARTING, Reason.WAITING)


@pytest.mark.parametrize(
    ("generation", "status", "incarnation"), [(2, InstanceStatus.RUNNING, 4), (1, InstanceStatus.STARTING, None)]
)
def test_the_word_of_the_vm_counts_while_its_template_is_what_runs(
    generation: int, status: InstanceStatus, incarnation: int | None
) -> None:
    own = vm(printable="Running", created=True, incarnation=4, observedGeneration=generation)
    own["metadata"]["generation"] = 2
    seen = observed(own)
    assert (seen.status, seen.incarnation) == (status, incarnation)
    assert observed(own, vmi(incarnation=3)).incarnation == 3


def test_a_stop_that_takes_too_long_is_stuck() -> None:
    halted = vm(strategy="Halted", printable="Stopping", created=True)
    assert observed(halted, vmi(deleted_at="2026-11-23T11:58:01Z")).reason is None
    seen = observed(halted, vmi(deleted_at="2026-11-23T11:57:59Z"))
    assert (seen.status, seen.reason) == (InstanceStatus.STOPPING, Reason.TERMINATION_STUCK)
    (call,) = machine.calls_for(InstanceOperation.STOP, VM, seen)
    assert (call.verb, call.subresource, call.body) == ("put", "stop", {"gracePeriod": 0})
    gone = observed(halted, vmi(deleted_at="2026-11-23T11:57:59Z"), ready=False)
    assert (gone.reason, gone.message) == (Reason.NODE_LOST, "node node-1 does not answer")


@pytest.mark.parametrize("running", [None, vmi()])
def test_deleting(running: dict[str, Any] | None) -> None:
    seen = observed(vm(printable="Terminating", deleted_at="2026-11-23T11:59:50Z"), running)
    assert (seen.status, seen.deleting, seen.uid) == (InstanceStatus.STOPPING, True, "vm-uid")


def test_a_vmi_that_outlives_its_vm_is_still_there() -> None:
    seen = observed(None, vmi())
    assert (seen.status, seen.deleting, seen.uid) == (InstanceStatus.STOPPING, True, None)
    assert not machine.removal(VM, seen)


@pytest.mark.parametrize(("words", "reason"), [(QUOTA, Reason.QUOTA), (SECURITY, Reason.REJECTED)])
@pytest.mark.parametrize("on_vm", [True, False])
def test_a_refused_launcher_shows_starting_for_ever(words: str, reason: Reason, on_vm: bool) -> None:
    conditions: dict[str, str | dict[str, str]] = {"Synchronized": {**FAILED_CREATE, "message": words}}
    own = vm(printable="Starting", created=True, conditions=conditions if on_vm else None)
    seen = observed(own, vmi("Pending", node=None, conditions=None if on_vm else conditions))
    assert (seen.status, seen.reason, seen.message) == (InstanceStatus.STARTING, reason, words)


def test_paused_is_suspended() -> None:
    seen = observed(vm(printable="Paused", created=True), vmi(conditions={"Paused": "True"}))
    assert (seen.status, seen.reason) == (InstanceStatus.SUSPENDED, None)


def test_a_silent_node() -> None:
    seen = observed(vm(printable="Running", created=True), vmi(), ready=False)
    assert (seen.status, seen.reason, seen.lost) == (InstanceStatus.STARTING, Reason.NODE_LOST, False)
    assert observed(vm(printable="Unknown", created=True), vmi("Unknown")).reason is Reason.NODE_LOST


@pytest.mark.parametrize(
    ("printable", "status", "reason"),
    [
        ("Starting", InstanceStatus.STARTING, Reason.WAITING),
        ("Provisioning", InstanceStatus.STARTING, Reason.WAITING),
        ("ErrorUnschedulable", InstanceStatus.PENDING, Reason.UNSCHEDULABLE),
        ("ErrorPvcNotFound", InstanceStatus.PENDING, Reason.VOLUME),
        ("DataVolumeError", InstanceStatus.PENDING, Reason.VOLUME),
        ("WaitingForVolumeBinding", InstanceStatus.PENDING, Reason.VOLUME),
        ("ErrImagePull", InstanceStatus.STARTING, Reason.IMAGE_PULL),
        ("ImagePullBackOff", InstanceStatus.STARTING, Reason.IMAGE_PULL),
        ("CrashLoopBackOff", InstanceStatus.STARTING, Reason.CRASH_LOOP),
    ],
)
def test_what_holds_it_back(printable: str, status: InstanceStatus, reason: Reason) -> None:
    seen = observed(vm(printable=printable, created=True), vmi("Scheduling", node=None, ip=None))
    assert (seen.status, seen.reason) == (status, reason)


def test_unschedulable_in_kubernetes_words() -> None:
    conditions: dict[str, str | dict[str, str]] = {
        "PodScheduled": {"status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient memory."}
    }
    seen = observed(vm(printable="Starting", created=True), vmi("Scheduling", node=None, conditions=conditions))
    assert (seen.reason, seen.message) == (Reason.UNSCHEDULABLE, "0/1 nodes: Insufficient memory.")


def test_the_launcher_explains_an_image_error() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nope"'}}
    launcher = {"status": {"phase": "Pending", "containerStatuses": [{"name": "volumeroot", "state": waiting}]}}
    seen = observed(vm(printable="ImagePullBackOff", created=True), vmi("Scheduling", node=None), launcher)
    assert (seen.reason, seen.message) == (Reason.IMAGE_PULL, 'ImagePullBackOff: Back-off pulling image "nope"')


def test_a_crash_loop_counts_its_failures() -> None:
    seen = observed(vm(printable="CrashLoopBackOff", startFailure={"consecutiveFailCount": 4}))
    assert (seen.reason, seen.restarts, seen.message) == (Reason.CRASH_LOOP, 4, "failed to start 4 times in a row")


def test_a_guest_that_ended_is_started_again() -> None:
    seen = observed(vm(printable="Stopped", created=True), vmi("Failed"))
    assert (seen.status, seen.reason, seen.message) == (
        InstanceStatus.STARTING,
        Reason.EXITED,
        "the guest ended: Failed",
    )


def test_start_and_stop_apply_the_whole_manifest() -> None:
    (start,) = machine.calls_for(InstanceOperation.START, replace(VM, wanted=Wanted.STOPPED), None)
    assert (start.verb, start.body["spec"]["runStrategy"]) == ("apply", "Always")
    (stop,) = machine.calls_for(InstanceOperation.STOP, VM, observed(vm(created=True), vmi()))
    assert (stop.verb, stop.body["spec"]["runStrategy"]) == ("apply", "Halted")


def test_restart_applies_the_next_incarnation_first_and_is_sent_once() -> None:
    apply, restart = machine.calls_for(InstanceOperation.RESTART, VM, observed(vm(created=True), vmi(incarnation=2)))
    assert apply.verb == "apply"
    assert apply.body["spec"]["template"]["metadata"]["annotations"]["cmp.io/incarnation"] == "3"
    assert (restart.verb, restart.kind, restart.subresource) == ("put", "VirtualMachine", "restart")
    assert not restart.repeatable
    assert restart.missing_ok


@pytest.mark.parametrize(
    ("operation", "subresource", "words"),
    [
        (InstanceOperation.SUSPEND, "pause", "VMI is already paused"),
        (InstanceOperation.RESUME, "unpause", "VMI is not paused"),
    ],
)
def test_pause_and_unpause(operation: InstanceOperation, subresource: str, words: str) -> None:
    (call,) = machine.calls_for(operation, VM, observed(vm(created=True), vmi()))
    assert (call.kind, call.subresource) == ("VirtualMachineInstance", subresource)
    assert any(part in words for part in call.already)
    assert not call.missing_ok


@pytest.mark.parametrize("operation", [InstanceOperation.STOP, None])
def test_a_paused_guest_is_woken_before_it_must_go(operation: InstanceOperation | None) -> None:
    seen = observed(vm(printable="Paused", created=True), vmi(conditions={"Paused": "True"}))
    calls = machine.removal(VM, seen) if operation is None else machine.calls_for(operation, VM, seen)
    assert [call.subresource or call.verb for call in calls] == ["unpause", "delete" if operation is None else "apply"]
    assert calls[0].missing_ok


@pytest.mark.parametrize(("cpu", "sockets", "request_"), [(250, 1, "250m"), (1000, 1, "1"), (1500, 2, "1500m")])
def test_sizes(cpu: int, sockets: int, request_: str) -> None:
    domain = machine.manifest(replace(VM, cpu=cpu))["spec"]["template"]["spec"]["domain"]
    assert domain["cpu"] == {"sockets": sockets, "cores": 1, "threads": 1}
    assert domain["resources"] == {"requests": {"cpu": request_}}


ONCE = replace(VM, settings={"run_strategy": "once"})
RERUN = replace(VM, settings={"run_strategy": "rerun-on-failure"})
AGAIN = {"cmp.io/rerun": "on-failure"}


@pytest.mark.parametrize(("spec", "strategy"), [(VM, "Always"), (ONCE, "Once"), (RERUN, "Once")])
def test_run_strategies(spec: InstanceSpec, strategy: str) -> None:
    assert machine.manifest(spec)["spec"]["runStrategy"] == strategy
    assert machine.manifest(replace(spec, wanted=Wanted.STOPPED))["spec"]["runStrategy"] == "Halted"
    template = machine.manifest(spec)["spec"]["template"]["metadata"]["annotations"]
    assert template.get("cmp.io/rerun") == ("on-failure" if spec is RERUN else None)


@pytest.mark.parametrize("annotations", [None, AGAIN])
def test_a_guest_that_shut_itself_down_has_completed(annotations: dict[str, str] | None) -> None:
    seen = observed(vm(strategy="Once", printable="Stopped", created=True), vmi("Succeeded", annotations=annotations))
    assert (seen.status, seen.reason, seen.ended, seen.rerun) == ("stopped", "completed", "completed", False)
    assert seen.incarnation == 3


def test_a_guest_that_failed_is_run_again_where_that_is_wished() -> None:
    own = vm(strategy="Once", printable="Stopped", created=True)
    once, again = observed(own, vmi("Failed")), observed(own, vmi("Failed", annotations=AGAIN))
    assert (once.reason, once.ended, once.rerun) == ("exited", "failed", False)
    assert (again.reason, again.ended, again.rerun) == ("exited", None, True)
    failure = {"consecutiveFailCount": 2, "retryAfterTimestamp": "2026-11-23T12:00:09Z"}
    waits = observed(vm(strategy="Once", created=True, startFailure=failure), vmi("Failed", annotations=AGAIN))
    assert (waits.reason, waits.rerun, waits.message) == ("crash_loop", False, "failed to start 2 times in a row")
    failure["retryAfterTimestamp"] = "2026-11-23T11:59:59Z"
    assert observed(vm(strategy="Once", startFailure=failure), vmi("Failed", annotations=AGAIN)).rerun


def test_what_is_not_started_yet_or_ends_has_not_completed() -> None:
    assert observed(vm(strategy="Once", printable="Stopped")).status is InstanceStatus.PENDING
    ending = vmi("Succeeded", deleted_at="2026-11-23T11:59:50Z")
    seen = observed(vm(strategy="Once", printable="Stopped", created=True), ending)
    assert (seen.status, seen.ended) == (InstanceStatus.STOPPING, None)
    assert observed(vm(printable="Stopped", created=True), vmi("Succeeded")).ended is None


@pytest.mark.parametrize("spec", [ONCE, RERUN])
def test_what_runs_once_is_run_again_by_ending_the_run_that_was_seen(spec: InstanceSpec) -> None:
    own = vm(strategy="Once", created=True)
    apply, end = machine.calls_for(InstanceOperation.RESTART, spec, observed(own, vmi(incarnation=2)))
    assert (apply.verb, apply.body["spec"]["runStrategy"]) == ("apply", "Once")
    assert (end.verb, end.kind, end.uid) == ("delete", "VirtualMachineInstance", "vmi-uid")
    calls = machine.calls_for(InstanceOperation.START, spec, observed(own, vmi("Succeeded")))
    assert [call.verb for call in calls] == ["apply", "delete"]
    assert len(machine.calls_for(InstanceOperation.START, spec, observed(vm(strategy="Halted")))) == 1


def test_a_reboot_is_not_repeated_and_a_move_has_its_operations_name() -> None:
    seen = observed(vm(created=True), vmi())
    (reboot,) = machine.calls_for(InstanceOperation.REBOOT, VM, seen)
    assert (reboot.kind, reboot.subresource, reboot.repeatable) == ("VirtualMachineInstance", "softreboot", False)
    assert not reboot.already
    (move,) = machine.calls_for(InstanceOperation.MIGRATE, replace(VM, migration="op-1"), seen)
    assert (move.verb, move.kind, move.name) == ("create", "VirtualMachineInstanceMigration", "op-1")
    assert move.body["spec"] == {"vmiName": "web-instance-1"}
    assert move.body["metadata"]["ownerReferences"][0]["uid"] == "vm-uid"
    assert not machine.calls_for(InstanceOperation.MIGRATE, VM, seen)


@pytest.mark.parametrize(
    ("condition", "able", "why"),
    [
        ({"LiveMigratable": "True"}, True, None),
        (
            {"LiveMigratable": {"status": "False", "reason": "X", "message": "PVC is not shared"}},
            False,
            "PVC is not shared",
        ),
        ({}, False, None),
    ],
)
def test_whether_it_can_move(condition: dict[str, Any], able: bool, why: str | None) -> None:
    seen = observed(vm(created=True), vmi(conditions=condition))
    assert (seen.migratable, seen.unmigratable) == (able, why)


@pytest.mark.parametrize(
    ("phase", "more", "state", "reason", "message"),
    [
        ("", {}, "waiting", None, "preparing to move: Pending"),
        ("Scheduling", {}, "waiting", None, "preparing to move: Scheduling"),
        ("Running", {"targetNode": "node-2"}, "moving", None, "moving to node-2"),
        ("Succeeded", {"targetNode": "node-2"}, "succeeded", None, None),
        ("Failed", {"failureReason": "out of memory"}, "failed", None, "out of memory"),
        ("Failed", {}, "failed", None, None),
    ],
)
def test_a_move_in_kubevirts_words(phase: str, more: dict[str, str], state: Any, reason: Any, message: Any) -> None:
    metadata = {"name": "op-1", "uid": "m-uid"}
    job = {"metadata": metadata, "status": {"phase": phase, "migrationState": {"migrationUid": "m-uid", **more}}}
    found = machine.status_of(
        {
            "VirtualMachine": vm(created=True),
            "VirtualMachineInstance": vmi(),
            "VirtualMachineInstanceMigration": job,
        },
        around(),
    )
    assert found.migration == Migration("op-1", "m-uid", state, reason, message)
