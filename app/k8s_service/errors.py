"""What Kubernetes can answer to us, in CMP's own words, and how its refusals become them."""

from app.errors import CmpError, Unavailable, Unsupported, WrongState
from app.kube.errors import KubeError, Refusal, Unreachable
from app.models import Reason

_SILENT = "Kubernetes, or the instance's node, does not answer. Try again."


class ForeignNamespace(CmpError):
    """A namespace of that name exists, and CMP did not make it. It is left alone."""

    code = "foreign_namespace"


class NamespaceTerminating(CmpError):
    """Our namespace is on its way out; its name is free when it is gone."""

    code = "namespace_terminating"
    retryable = True


class ForeignObject(CmpError):
    """An object of that name exists, and CMP did not make it. It is left alone."""

    code = "foreign_object"


class Refused(CmpError):
    """Kubernetes will not have it, and will not tomorrow unless something changes."""

    code = "refused"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Raced(CmpError):
    """Things changed under our hands: look again soon and decide again."""

    code = "raced"
    retryable = True


def translated(error: KubeError) -> CmpError:
    """The same failure, for the floors above. `Unavailable` says after how many seconds in `details`."""
    if isinstance(error, Unreachable):
        return _unavailable(str(error), error.retry_after)
    if not isinstance(error, Refusal):
        return _unavailable(str(error), 10.0)
    if error.code == 403:
        return _forbidden(error)
    if error.code in (404, 409, 410) or _meant_another(error):
        return Raced(error.message)
    if error.code == 401:
        return _unavailable("Kubernetes does not accept the credentials", 30.0)
    if error.code >= 500 or error.code == 429:
        return _unavailable(str(error), 2.0)
    return Refused(Reason.REJECTED, error.message)


def answered(error: KubeError) -> CmpError:
    """The same failure for somebody who waits to reach an instance. What Kubernetes says of that instance is theirs."""
    if not isinstance(error, Refusal):
        return Unavailable(_SILENT, internal=str(error))
    if error.code == 403:
        words = "CMP may not do this in its Kubernetes cluster. Give an administrator the request id."
        return Unsupported(words, internal=str(error))
    if error.code in (400, 404, 409, 410, 422):
        return WrongState(f"It cannot be reached now. Kubernetes says: {error.message[:500]}")
    return Unavailable(_SILENT, internal=str(error))


def account_missing(error: Refusal) -> bool:
    """Right after its namespace was made: the default service account follows within moments."""
    return error.code == 403 and "serviceaccount" in error.message and "not found" in error.message


def _meant_another(error: Refusal) -> bool:
    """A patch bound to a uid met a namesake: an API server calls that an attempt to change the uid."""
    return error.code == 422 and "metadata.uid" in error.message


def _forbidden(error: Refusal) -> CmpError:
    if "NamespaceTerminating" in error.causes or "because it is being terminated" in error.message:
        return NamespaceTerminating(error.message)
    # A quota counts only once its controller has looked at it.
    if account_missing(error) or "status unknown for quota" in error.message:
        return Raced(error.message)
    if "NodeCapacity" in error.causes:
        return Refused(Reason.UNSCHEDULABLE, error.message)
    if 'RuntimeClass "' in error.message and "not found" in error.message:
        return Refused(Reason.CONFIGURATION, error.message)
    reason = Reason.QUOTA if "exceeded quota" in error.message else Reason.REJECTED
    return Refused(reason, error.message)


def _unavailable(internal: str, retry_after: float) -> Unavailable:
    return Unavailable("Kubernetes does not answer", details={"retry_after": retry_after}, internal=internal)
