"""Each reason in words a user understands, what to do about it, and how long CMP waits before calling it a failure."""

from dataclasses import dataclass

from app.models import Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """`patience` in seconds: how long the cause may last before the instance counts as failed."""

    words: str
    remedy: str
    patience: int


EXPLANATIONS: dict[Reason, Explanation] = {
    Reason.IMAGE_PULL: Explanation(
        "The image cannot be pulled", "check its name and tag, and that the cluster may reach its registry", 120
    ),
    Reason.UNSCHEDULABLE: Explanation(
        "No node has room for it", "ask for less CPU or memory, stop something, or have nodes added", 300
    ),
    Reason.QUOTA: Explanation(
        "The namespace quota in Kubernetes refused it", "ask an administrator to look at the namespace's quota", 120
    ),
    Reason.CRASH_LOOP: Explanation(
        "The main process keeps exiting", "look at its logs; check the image and its command", 60
    ),
    Reason.OUT_OF_MEMORY: Explanation(
        "It was killed for using more memory than it has", "give each instance more memory", 60
    ),
    Reason.EXITED: Explanation("The main process exited", "look at its logs; it is started again", 60),
    Reason.COMPLETED: Explanation("It has run to its end", "start it again to run it once more", 0),
    Reason.EVICTED: Explanation("Kubernetes evicted it", "nothing: it is being replaced", 300),
    Reason.NODE_LOST: Explanation(
        "The node it ran on does not answer", "nothing: it is replaced as soon as that is safe", 600
    ),
    Reason.CONFIGURATION: Explanation("It cannot be started as configured", "check its image and settings", 60),
    Reason.REJECTED: Explanation(
        "Kubernetes refused to make it", "read the message; an administrator may have to allow it", 60
    ),
    Reason.VOLUME: Explanation("A disk of it is not ready", "check the volume", 600),
    Reason.SUSPEND_LOST: Explanation(
        "It was stopped while suspended, so what it held in memory is gone", "start it again", 0
    ),
    Reason.SUSPEND_UNSUPPORTED: Explanation(
        "It cannot be suspended where it runs", "stop it instead, or have the node agent installed", 60
    ),
    Reason.MIGRATION_FAILED: Explanation(
        "It could not be moved to another node", "nothing: it runs on where it was; try again later", 0
    ),
    Reason.FOREIGN_OBJECT: Explanation(
        "Something that CMP did not make has its name", "ask an administrator to remove or rename it", 60
    ),
    Reason.TERMINATION_STUCK: Explanation(
        "Kubernetes has not let go of it yet", "nothing; an administrator can look for what holds it back", 600
    ),
    Reason.KUBERNETES_UNAVAILABLE: Explanation(
        "Kubernetes does not answer", "nothing: CMP goes on as soon as it does", 3600
    ),
    Reason.WAITING: Explanation("It is being prepared", "wait a little", 600),
    Reason.DEADLINE: Explanation("It took too long", "look at the message, then restart or delete it", 0),
}


def explain(reason: str | None, detail: str | None = None) -> str | None:
    """One sentence for people; `detail` is Kubernetes' own word on it."""
    if reason is None:
        return detail
    explanation = EXPLANATIONS[Reason(reason)]
    said = f" ({detail.strip().rstrip('.')})" if detail else ""
    return f"{explanation.words}{said}: {explanation.remedy}."[:1024]
