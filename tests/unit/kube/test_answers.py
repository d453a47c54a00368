"""What Kubernetes answers, in CMP's own words; and what a cache keeps of an object."""

from typing import Any

import orjson
import pytest

from app.errors import CmpError, Unavailable
from app.k8s_service import NamespaceTerminating, Raced, Refused
from app.k8s_service.errors import translated
from app.kube.errors import KubeError, Refusal, Unreachable, refusal
from app.kube.trim import trim
from app.models import Reason

ACCOUNT = 'pods "a" is forbidden: error looking up service account x/default: serviceaccount "default" not found'
TERMINATING = 'pods "a" is forbidden: unable to create new content in namespace x because it is being terminated'
QUOTA = 'pods "a" is forbidden: exceeded quota: small, requested: requests.cpu=250m, used: 250m, limited: 300m'
SECURITY = 'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (Refusal(403, "Forbidden", QUOTA), Refused, Reason.QUOTA),
        (Refusal(403, "Forbidden", SECURITY), Refused, Reason.REJECTED),
        (Refusal(403, "Forbidden", 'User "x" cannot create resource "pods"'), Refused, Reason.REJECTED),
        (Refusal(422, "Invalid", "spec.containers[0].image: Required value"), Refused, Reason.REJECTED),
        (Refusal(400, "BadRequest", "admission webhook denied the request"), Refused, Reason.REJECTED),
        (Refusal(413, "RequestEntityTooLarge", "limit is 3145728"), Refused, Reason.REJECTED),
        (Refusal(403, "Forbidden", ACCOUNT), Raced, None),
        (Refusal(404, "NotFound", 'namespaces "x" not found'), Raced, None),
        (Refusal(422, "Invalid", "metadata.uid: Invalid value: field is immutable"), Raced, None),
        (Refusal(409, "Conflict", "the object has been modified"), Raced, None),
        (Refusal(409, "AlreadyExists", "already exists"), Raced, None),
        (Refusal(403, "Forbidden", TERMINATING), NamespaceTerminating, None),
        (Refusal(403, "Forbidden", "no", ("NamespaceTerminating",)), NamespaceTerminating, None),
        (Refusal(401, "Unauthorized", "Unauthorized"), Unavailable, None),
        (Refusal(500, "", "no agent"), Unavailable, None),
        (Refusal(429, "TooManyRequests", "later"), Unavailable, None),
        (Unreachable("refused", 3.0), Unavailable, None),
        (KubeError("what"), Unavailable, None),
    ],
)
def test_every_failure_in_our_words(error: KubeError, kind: type[CmpError], reason: Reason | None) -> None:
    said = translated(error)
    assert type(said) is kind
    if isinstance(said, Refused):
        assert said.reason is reason
    if isinstance(said, Unavailable):
        assert said.details["retry_after"] > 0
    assert said.retryable is (kind is not Refused)


def test_a_status_is_read() -> None:
    body = {
        "kind": "Status",
        "reason": "Conflict",
        "message": "m",
        "code": 409,
        "details": {"causes": [{"reason": "FieldManagerConflict"}, {}]},
    }
    error = refusal(500, orjson.dumps(body))
    assert (error.code, error.reason, error.message, error.causes) == (
        409,
        "Conflict",
        "m",
        ("FieldManagerConflict", ""),
    )
    assert error.conflict
    assert not error.missing
    assert not error.expired


@pytest.mark.parametrize("body", [b"no agent", b"[1]", b"", b"\xff\xfe", b'{"kind":"Pod"}'])
def test_anything_else_is_taken_as_text(body: bytes) -> None:
    assert refusal(500, body).code == 500


@pytest.mark.parametrize("code", [410, 200])
def test_expired_in_both_forms(code: int) -> None:
    assert Refusal(code, "Expired", "too old").expired


def test_trim() -> None:
    pod: dict[str, Any] = {
        "metadata": {
            "name": "a",
            "uid": "u",
            "generation": 3,
            "labels": {"x": "y"},
            "annotations": {"cmp.io/frozen": "true", "kubectl.kubernetes.io/last-applied-configuration": "{…}"},
            "managedFields": [{}],
        },
        "spec": {"nodeName": "n", "containers": [{}]},
        "status": {"phase": "Running", "hostIP": "10.0.0.1"},
    }
    kept = trim(pod, ["spec.nodeName", "status.phase", "status.reason", "metadata.generation", "no.such.field"])
    assert kept == {
        "metadata": {
            "name": "a",
            "uid": "u",
            "generation": 3,
            "labels": {"x": "y"},
            "annotations": {"cmp.io/frozen": "true"},
        },
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running"},
    }
    assert "managedFields" in pod["metadata"], "what was given is not changed"
