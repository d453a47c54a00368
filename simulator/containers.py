"""What a simulated container does: whether its image can be pulled, and whether and how it ends by itself.

Told by, in this order:
* the Pod's annotation `simulator/crash`: "exit 3" or "oom" (adding it to a running Pod crashes it now, removing it lets
  the next start succeed);
* the image's name without its path and tag: `crash` (exit 1) or `oom-killed`;
* `exit N` in the container's command or args.
An image whose tag is `does-not-exist` cannot be pulled; one with upper case letters is no valid name.
"""

import re
from dataclasses import dataclass

from simulator.clock import stamp
from simulator.types import Json

CRASH = "simulator/crash"
EXIT = re.compile(r"\bexit (\d+)\b")
VALID_IMAGE = re.compile(
    r"^[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(@sha256:[0-9a-f]{64})?$"
)


@dataclass(frozen=True, slots=True)
class Ending:
    code: int
    reason: str


def ending(pod: Json, container: Json) -> Ending | None:
    """How this container ends by itself, if it does."""
    annotation = (pod["metadata"].get("annotations") or {}).get(CRASH)
    if annotation:
        return _told(annotation)
    name = base_name(str(container.get("image", "")))
    if name == "crash":
        return Ending(1, "Error")
    if name == "oom-killed":
        return Ending(137, "OOMKilled")
    words = " ".join(str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ())))
    found = EXIT.search(words)
    return _exit(int(found[1])) if found else None


def pull_failure(image: str) -> tuple[str, str] | None:
    """(waiting reason, message) when the image cannot be had."""
    if not VALID_IMAGE.match(image):
        parse = f'couldn\'t parse image name "{image}": invalid reference format'
        text = f'Failed to apply default image tag "{image}": {parse}'
        return "InvalidImageName", text
    if image.endswith(":does-not-exist"):
        text = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
            f'failed to resolve reference "{image}": {image}: not found'
        )
        return "ErrImagePull", text
    return None


def base_name(image: str) -> str:
    """`registry:5000/team/crash:1` is `crash`."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def waiting(container: Json, reason: str, message: str = "", known: Json | None = None) -> Json:
    state = {"reason": reason, "message": message} if message else {"reason": reason}
    return _status(container, {"waiting": state}, False, known)


def running(container: Json, known: Json | None = None) -> Json:
    return _status(container, {"running": {"startedAt": stamp()}}, True, known)


def terminated(container: Json, how: Ending, known: Json | None = None) -> Json:
    started = ((known or {}).get("state") or {}).get("running", {}).get("startedAt", stamp())
    state = {
        "exitCode": how.code,
        "reason": how.reason,
        "startedAt": started,
        "finishedAt": stamp(),
        "containerID": (known or {}).get("containerID", ""),
    }
    return _status(container, {"terminated": state}, False, known)


def _status(container: Json, state: Json, ready: bool, known: Json | None) -> Json:
    image = str(container.get("image", ""))
    started = "running" in state
    status: Json = {
        "name": container["name"],
        "state": state,
        "lastState": (known or {}).get("lastState", {}),
        "ready": ready,
        "restartCount": (known or {}).get("restartCount", 0),
        "image": image,
        "imageID": f"simulated://{image}" if started or (known or {}).get("imageID") else "",
        "started": started,
    }
    if started:
        status["resources"] = container.get("resources") or {}
        status["allocatedResources"] = status["resources"].get("requests") or {}
        status["containerID"] = f"simulated://{container['name']}-{status['restartCount']}"
    elif known and known.get("containerID"):
        status["containerID"] = known["containerID"]
    return status


def _told(text: str) -> Ending:
    if text.strip() == "oom":
        return Ending(137, "OOMKilled")
    found = EXIT.search(text)
    return _exit(int(found[1])) if found else Ending(1, "Error")


def _exit(code: int) -> Ending:
    return Ending(code, "Completed" if code == 0 else "Error")
