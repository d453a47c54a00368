"""Makes true what the Pods of this node ask for: looks at each again after every change and every few seconds.

It keeps nothing: what it must know stands in the Pod, in its cgroup and in the Lease that says that it is alive. So it
may be ended at any line and begins anew with a list.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent import pod as pods
from agent.freezer import Freezer
from agent.kube import FAILURES, MERGE, STRATEGIC, WATCH_SECONDS, Kube, Refused
from agent.pod import GATE, SUSPENDED, Object

SELECTOR = "app.kubernetes.io/managed-by=cmp,instance-type=container"
COMPONENT = {"cmp.io/component": "node-agent"}
_LOOK_AGAIN = 10.0
_LOOK_SOON = 0.05
_RETRY = 1.0
_RENEW = 10.0
_LEASE_SECONDS = 30
_LONGEST_BACKOFF = 30.0
# Without a word from the watch for so long, it is not said to be alive.
_DEAF = 2.0 * WATCH_SECONDS

log = logging.getLogger("agent")


class Follower(threading.Thread):
    """Puts onto `news` a list of Pods each time that it began anew, single Pods as they change, uids of those gone."""

    def __init__(self, kube: Kube, node: str, news: "queue.Queue[list[Object] | Object | str]") -> None:
        super().__init__(name="follower", daemon=True)
        self._kube = kube
        self._path = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{quote(node)}&labelSelector={quote(SELECTOR)}"
        self._news = news
        self.heard = -_DEAF
        """When the API server last answered, by the monotonic clock."""

    def run(self) -> None:
        failures = 0
        while True:
            try:
                for version in self._versions():
                    failures, self.heard = 0, time.monotonic()
                    self._follow(version)
            except FAILURES as error:
                wait = min(_LONGEST_BACKOFF, 0.5 * 2.0**failures) * random.uniform(0.5, 1.0)  # noqa: S311
                failures += 1
                log.warning("watching Pods failed, listing them again in %.1f s: %s", wait, error)
                time.sleep(wait)

    def _versions(self) -> Iterator[str]:
        """From which to watch: the list's, then wherever the last watch came to."""
        listed = self._kube.call("GET", self._path)
        self._news.put(listed.get("items") or [])
        self._version = str(listed["metadata"]["resourceVersion"])
        while True:
            yield self._version

    def _follow(self, version: str) -> None:
        for event in self._kube.watch(f"{self._path}&watch=1&allowWatchBookmarks=true&resourceVersion={version}"):
            seen = event["object"]
            self._version = str(seen["metadata"]["resourceVersion"])
            if event["type"] == "DELETED":
                self._news.put(pods.uid(seen))
            elif event["type"] != "BOOKMARK":
                self._news.put(seen)


class Agent:
    def __init__(self, kube: Kube, freezer: Freezer, node: str, namespace: str) -> None:
        self._kube, self._freezer, self._node = kube, freezer, node
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._news: queue.Queue[list[Object] | Object | str] = queue.Queue()
        self._follower = Follower(kube, node, self._news)
        self._pods: dict[str, Object] = {}
        self._due: dict[str, float] = {}
        self._renewal = 0.0

    def start(self) -> None:
        """Begin to follow the Pods; from then on `step` again and again."""
        self._follower.start()

    def step(self) -> None:
        """Wait for news or for whatever is due, then see to it."""
        self._take_news()
        now = time.monotonic()
        due = [uid for uid, when in self._due.items() if when <= now]
        cgroups = self._freezer.pods() if due else {}
        for uid in due:
            self._due[uid] = time.monotonic() + self._settled(self._pods[uid], cgroups.get(uid))
        if now >= self._renewal and now - self._follower.heard < _DEAF:
            self._renew(now)

    def _take_news(self) -> None:
        now = time.monotonic()
        wait = min([self._renewal, *self._due.values(), now + _LOOK_AGAIN]) - now
        try:
            self._take(self._news.get(timeout=max(wait, _LOOK_SOON / 2)))
            while True:
                self._take(self._news.get_nowait())
        except queue.Empty:
            return

    def _take(self, news: list[Object] | Object | str) -> None:
        if isinstance(news, str):
            self._pods.pop(news, None)
            self._due.pop(news, None)
        elif isinstance(news, list):
            self._pods = {pods.uid(each): each for each in news}
            self._due = dict.fromkeys(self._pods, 0.0)
        else:
            self._keep(news)
            self._due[pods.uid(news)] = 0.0

    def _keep(self, seen: Object) -> None:
        held = self._pods.get(pods.uid(seen))
        if held is None or pods.version(held) <= pods.version(seen):
            self._pods[pods.uid(seen)] = seen

    def _settled(self, pod: Object, cgroup: Path | None) -> float:
        """One step towards what the Pod asks for; seconds until it wants another look."""
        try:
            return self._frozen(pod, cgroup) if self._shall_freeze(pod) else self._thawed(pod, cgroup)
        except Refused as error:
            if error.status not in (404, 409):
                log.warning("%s: %s", _name(pod), error)
        except FAILURES as error:
            log.warning("%s: %s", _name(pod), error)
        return _RETRY

    def _shall_freeze(self, pod: Object) -> bool:
        asked = pods.annotated(pod) and not pods.leaving(pod)
        return asked and pods.runs(pod) and not pods.probed(pod) and not pods.lost_memory(pod)

    def _frozen(self, pod: Object, cgroup: Path | None) -> float:
        """The gate is closed first, so that nobody is sent to what is about to stand still."""
        if cgroup is None:
            raise OSError("its cgroup is not there")
        pod = self._tell(pod, {GATE: pods.CLOSED})
        if self._freezer.freeze(cgroup):
            if not pods.suspended(pod):
                log.info("%s: frozen", _name(pod))
            self._tell(pod, {SUSPENDED: pods.STANDS_STILL})
            return _LOOK_AGAIN
        self._tell(pod, {SUSPENDED: pods.NOT_YET})
        return _LOOK_SOON

    def _thawed(self, pod: Object, cgroup: Path | None) -> float:
        if cgroup is not None and self._freezer.asked(cgroup):
            self._freezer.thaw(cgroup)
            log.info("%s: thawed", _name(pod))
        wanted = {GATE: pods.OPEN}
        if pods.annotated(pod) and pods.lost_memory(pod):
            wanted[SUSPENDED] = pods.LOST
        elif pods.annotated(pod) and pods.probed(pod):
            wanted[SUSPENDED] = pods.PROBED
        elif pods.condition(pod, SUSPENDED):
            wanted[SUSPENDED] = pods.RUNS
        self._tell(pod, wanted)
        return _LOOK_AGAIN

    def _tell(self, pod: Object, wanted: dict[str, pods.Told]) -> Object:
        """The Pod as it is once its conditions say so."""
        if not pods.gated(pod):
            wanted = {kind: told for kind, told in wanted.items() if kind != GATE}
        changes = pods.changes(pod, wanted)
        if not changes:
            return pod
        where = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        body = {"metadata": {"uid": pods.uid(pod)}, "status": {"conditions": changes}}
        written = self._kube.call("PATCH", where, body, STRATEGIC)
        self._keep(written)
        return written

    def _renew(self, now: float) -> None:
        """The Lease by which CMP knows that containers can be suspended on this node."""
        self._renewal = now + _RETRY
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        name = f"cmp-node-agent-{self._node}"
        spec: dict[str, Any] = {
            "renewTime": stamp,
            "holderIdentity": self._node,
            "leaseDurationSeconds": _LEASE_SECONDS,
        }
        metadata = {"name": name, "labels": COMPONENT}
        try:
            self._kube.call("PATCH", f"{self._leases}/{name}", {"metadata": metadata, "spec": spec}, MERGE)
        except Refused as error:
            if error.status != 404:
                log.warning("the Lease cannot be renewed: %s", error)
                return
            self._create_lease({"metadata": metadata, "spec": {**spec, "acquireTime": stamp}})
        except FAILURES as error:
            log.warning("the Lease cannot be renewed: %s", error)
            return
        self._renewal = now + _RENEW

    def _create_lease(self, body: dict[str, Any]) -> None:
        try:
            self._kube.call("POST", self._leases, body)
        except FAILURES as error:
            log.warning("the Lease cannot be made: %s", error)


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
