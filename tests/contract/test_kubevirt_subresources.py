"""What only KubeVirt itself does: its webhook, subresources, conditions, launchers. Codes and words are virt-api's."""

from collections.abc import Callable

import pytest

from tests.contract.cluster_api import Answer, ClusterApi, Json, Namespace, condition, is_true, machine


class Machine:
    """One VM and the ways to operate it."""

    def __init__(self, api: ClusterApi, namespace: Namespace, name: str = "vm") -> None:
        self.api = api
        self.namespace = namespace
        self.name = name
        self.path = namespace.machines(name)
        self.instance_path = namespace.machines(name, "virtualmachineinstances")
        self.base = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace.name}"

    def create(self, strategy: str = "Always", change: Callable[[Json], None] | None = None) -> "Machine":
        body = machine(self.name, strategy)
        if change:
            change(body)
        self.api.post(self.namespace.machines(), body).ok(201)
        return self

    def until(self, printable: str) -> Json:
        return self.api.until(self.path, lambda obj: (obj.get("status") or {}).get("printableStatus") == printable)

    def operate(self, verb: str, body: Json | None = None) -> None:
        code = 202 if verb in ("start", "stop", "restart") else 200
        answer = self._put(verb, body)
        assert (answer.status, answer.text) == (code, ""), answer

    def refused(self, verb: str, code: int = 409, reason: str = "Conflict", body: Json | None = None) -> str:
        return str(self._put(verb, body).refused(code, reason)["message"])

    def strategy(self) -> str:
        return str(self.api.get(self.path).ok()["spec"]["runStrategy"])

    def instance(self) -> Json:
        return self.api.get(self.instance_path).ok()

    def launchers(self) -> str:
        return f"{self.namespace.of('pods')}?labelSelector=kubevirt.io%3Dvirt-launcher"

    def _put(self, verb: str, body: Json | None) -> Answer:
        kind = "virtualmachines" if verb in ("start", "stop", "restart") else "virtualmachineinstances"
        return self.api.call("PUT", f"{self.base}/{kind}/{self.name}/{verb}", body)


@pytest.fixture
def vm(with_kubevirt: ClusterApi, namespace: Namespace) -> Machine:
    return Machine(with_kubevirt, namespace)


def conflict(text: str, kind: str = "virtualmachine") -> str:
    return f'Operation cannot be fulfilled on {kind}.kubevirt.io "vm": {text}'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"running": True}, "Running and RunStrategy are mutually exclusive"),
        ({"runStrategy": None}, "RunStrategy must be specified"),
        ({"runStrategy": "Sometimes"}, "Invalid RunStrategy (Sometimes)"),
    ],
)
def test_the_webhook_refuses(vm: Machine, change: Json, message: str) -> None:
    body = machine("vm")
    body["spec"] = {key: value for key, value in {**body["spec"], **change}.items() if value is not None}
    status = vm.api.post(vm.namespace.machines(), body).refused(422, "Invalid")
    assert message in status["message"]
    assert status["details"]["causes"][0]["field"].startswith("spec.")


def test_phases_and_conditions(vm: Machine) -> None:
    vm.create()
    running = vm.until("Running")
    for kind in ("Ready", "LiveMigratable"):
        assert is_true(running, kind)
    instance = vm.instance()
    assert [item["phase"] for item in instance["status"]["phaseTransitionTimestamps"]] == [
        "Pending",
        "Scheduling",
        "Scheduled",
        "Running",
    ]
    assert instance["metadata"]["labels"]["made-by"] == "contract"
    assert instance["status"]["interfaces"][0]["ipAddress"]
    assert instance["status"]["nodeName"]
    vm.api.until(vm.path, lambda obj: is_true(obj, "AgentConnected"))


def test_the_launcher_is_a_pod(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    selector = "kubevirt.io%3Dvirt-launcher"
    pods = vm.api.get(f"{vm.namespace.of('pods')}?labelSelector={selector}").ok()["items"]
    assert len(pods) == 1
    assert pods[0]["metadata"]["labels"]["kubevirt.io/created-by"] == vm.instance()["metadata"]["uid"]
    assert pods[0]["metadata"]["labels"]["made-by"] == "contract"
    requests = pods[0]["spec"]["containers"][0]["resources"]["requests"]
    assert requests["cpu"] == "200m"
    assert requests["memory"] == "1302Mi", "1 GiB, its page tables, and what two virtual CPUs cost"


def test_stop_and_start_with_always(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    assert vm.refused("start") == conflict("VM is already running")
    vm.operate("stop")
    assert vm.strategy() == "Halted"
    vm.until("Stopping")
    vm.until("Stopped")
    assert vm.refused("stop") == conflict("VM is not running")
    assert vm.refused("restart") == conflict("Halted does not support manual restart requests")
    vm.api.until_gone(vm.instance_path)
    vm.operate("start")
    assert vm.strategy() == "Always"
    vm.until("Running")


def test_stopped_shows_before_the_instance_is_gone(vm: Machine) -> None:
    """So that a start straight after Stopped may be refused, as on a real cluster."""
    vm.api.call("PATCH", "/__simulator__/settings", {"vmi_removal_delay": 2})
    try:
        vm.create()
        vm.until("Running")
        vm.operate("stop")
        vm.until("Stopped")
        assert vm.instance()["status"]["phase"] == "Succeeded"
    finally:
        vm.api.call("PATCH", "/__simulator__/settings", {"vmi_removal_delay": 0.1})


def test_restart_makes_a_new_instance(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    first = vm.instance()["metadata"]["uid"]
    vm.operate("restart")
    found = vm.api.until(vm.instance_path, lambda obj: obj["metadata"]["uid"] != first)
    assert found["metadata"]["uid"] != first
    vm.until("Running")
    assert vm.strategy() == "Always"
    vm.refused("restart", 400, "BadRequest", {"gracePeriodSeconds": 5})


def test_pause_and_unpause(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    kind = "virtualmachineinstance"
    assert vm.refused("unpause") == conflict("VMI is not paused", kind)
    vm.operate("pause", {})
    paused = vm.until("Paused")
    assert is_true(paused, "Paused")
    assert vm.refused("pause") == conflict("VMI is already paused", kind)
    assert vm.refused("softreboot") == conflict("VMI is paused", kind)
    vm.operate("unpause", {})
    assert condition(vm.until("Running"), "Paused") is None
    vm.operate("softreboot")
    vm.operate("reset")


def test_what_does_not_run_cannot_be_paused(vm: Machine) -> None:
    vm.create("Halted")
    vm.until("Stopped")
    assert vm.refused("pause", 404, "NotFound") == 'virtualmachineinstance.kubevirt.io "vm" not found'


def test_machines_that_are_not_there(vm: Machine) -> None:
    for verb in ("start", "stop", "restart"):
        assert vm.refused(verb, 404, "NotFound") == 'virtualmachine.kubevirt.io "vm" not found'


def test_manual_obeys_requests_only(vm: Machine) -> None:
    vm.create("Manual")
    vm.until("Stopped")
    vm.operate("start")
    vm.until("Running")
    vm.operate("stop")
    vm.until("Stopped")
    vm.api.until_gone(vm.instance_path)
    assert vm.strategy() == "Manual"


def test_once_runs_once(vm: Machine) -> None:
    vm.create("Once")
    vm.until("Running")
    assert vm.refused("restart") == conflict("Once does not support manual restart requests")
    first = vm.instance()["metadata"]["uid"]
    vm.api.delete(vm.launchers()).ok(200)
    vm.until("Stopped")
    assert (vm.instance()["metadata"]["uid"], vm.instance()["status"]["phase"]) == (first, "Failed")
    assert vm.refused("start") == conflict("Once does not support manual start requests")


def test_once_makes_a_deleted_instance_again(vm: Machine) -> None:
    """Once is about what ended, not about what is missing (syncRunStrategy, vm.go at v1.9.0)."""
    vm.create("Once")
    vm.until("Running")
    first = vm.instance()["metadata"]["uid"]
    vm.api.delete(vm.instance_path).ok(200)
    vm.api.until(vm.instance_path, lambda obj: obj["metadata"]["uid"] != first)
    vm.until("Running")


def test_a_launcher_deleted_behind_its_back(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    first = vm.instance()["metadata"]["uid"]
    vm.api.delete(vm.launchers()).ok(200)
    vm.api.until(vm.instance_path, lambda obj: obj["metadata"]["uid"] != first)
    vm.until("Running")


def test_a_machine_that_fits_nowhere(vm: Machine) -> None:
    def huge(body: Json) -> None:
        body["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = "9000Ti"

    vm.create(change=huge)
    found = vm.until("ErrorUnschedulable")
    made = condition(found, "PodScheduled")
    assert made is not None
    assert made["reason"] == "Unschedulable"
    assert "3 Insufficient memory" in made["message"]


def test_a_quota_leaves_a_machine_starting(vm: Machine) -> None:
    """KubeVirt creates the launcher later, so the refusal is only a condition."""
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}
    vm.api.post(vm.namespace.of("resourcequotas"), quota).ok(201)
    vm.api.until(vm.namespace.of("resourcequotas", "q"), lambda obj: "used" in (obj.get("status") or {}))
    vm.create()
    found = vm.api.until(vm.path, lambda obj: condition(obj, "Synchronized"))
    made = condition(found, "Synchronized")
    assert made is not None
    assert (made["status"], made["reason"]) == ("False", "FailedCreate")
    assert "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0" in made["message"]
    assert found["status"]["printableStatus"] == "Starting"
    vm.api.delete(vm.namespace.of("resourcequotas", "q")).ok(200)
    vm.until("Running")


def test_a_guest_that_ignores_the_shutdown(vm: Machine) -> None:
    def stubborn(body: Json) -> None:
        body["spec"]["template"]["metadata"]["annotations"] = {"simulator/ignore-shutdown": "true"}
        body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 3000

    vm.create(change=stubborn)
    vm.until("Running")
    vm.operate("stop")
    vm.until("Stopping")
    vm.operate("stop", {"gracePeriod": 0})
    vm.api.until_gone(vm.instance_path)
    vm.until("Stopped")


def test_a_guest_that_fails_is_started_again(vm: Machine) -> None:
    def failing(body: Json) -> None:
        body["spec"]["template"]["metadata"]["annotations"] = {"simulator/crash": "start"}

    vm.create(change=failing)
    found = vm.until("CrashLoopBackOff")
    assert vm.api.until(vm.path, lambda obj: "startFailure" in obj["status"])
    assert found["status"]["printableStatus"] == "CrashLoopBackOff"


def test_deletion_takes_everything_along(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    going = vm.api.delete(vm.path).ok(200)
    assert going["metadata"]["deletionTimestamp"]
    vm.api.until_gone(vm.path)
    vm.api.until_gone(vm.instance_path)
    assert vm.api.get(vm.namespace.of("pods")).ok()["items"] == []


def test_status_written_by_hand_is_dropped(vm: Machine) -> None:
    vm.create()
    vm.until("Running")
    vm.api.patch(vm.instance_path, {"status": {"phase": "Failed"}}).ok(200)
    assert vm.instance()["status"]["phase"] == "Running"


def test_disks_of_their_own_go_with_the_machine(vm: Machine) -> None:
    def disk(body: Json) -> None:
        storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        spec = {"source": {"blank": {}}, "storage": storage}
        body["spec"]["dataVolumeTemplates"] = [{"metadata": {"name": "vm-root"}, "spec": spec}]

    vm.create(change=disk)
    claim = vm.namespace.of("persistentvolumeclaims", "vm-root")
    vm.api.until(claim, lambda obj: obj["status"].get("phase") == "Bound")
    vm.until("Running")
    vm.api.delete(vm.path).ok(200)
    vm.api.until_gone(claim)


def test_a_claim_that_is_missing(vm: Machine) -> None:
    def missing(body: Json) -> None:
        volume = {"name": "root", "persistentVolumeClaim": {"claimName": "no"}}
        body["spec"]["template"]["spec"]["volumes"] = [volume]

    vm.create(change=missing)
    vm.until("ErrorPvcNotFound")


@pytest.mark.parametrize("verb", ["virtualmachineinstances/vm/pause", "virtualmachines/vm/stop"])
def test_who_takes_json_only_is_not_served(vm: Machine, verb: str) -> None:
    """Seen on KubeVirt 1.9: its verbs answer nothing, so they have no type to offer."""
    vm.create().until("Running")
    refused = vm.api.call("PUT", f"{vm.base}/{verb}", {}, accept="application/json")
    assert (refused.status, refused.text) == (406, "406: Not Acceptable\n\nAvailable representations: ")
    assert vm.api.call("PUT", f"{vm.base}/{verb}", {}, accept="application/json, */*").status in (200, 202)
