"""The few calls to the Kubernetes API that the agent makes, as the ServiceAccount of its Pod."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_TIMEOUT = 10.0
# A watch ends by itself after so long, and so shows that the connection still works.
WATCH_SECONDS = 60
MERGE = "application/merge-patch+json"
# Conditions are merged by their type.
STRATEGIC = "application/strategic-merge-patch+json"

Object = dict[str, Any]


class Refused(Exception):
    """The API server's no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


# What a call may end with that another attempt may mend.
FAILURES = (Refused, OSError, http.client.HTTPException, ValueError)


class Kube:
    """`credentials`: a folder with `token`, which is renewed every hour, and `ca.crt`."""

    def __init__(self, host: str, port: int, credentials: Path) -> None:
        self._host, self._port, self._credentials = host, port, credentials
        self._trust = ssl.create_default_context(cafile=str(credentials / "ca.crt"))
        # Authorities of clusters that have been around for long lack extensions that newer Pythons insist upon.
        self._trust.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = MERGE) -> Object:
        """Raises one of FAILURES."""
        connection, answer = self._sent(method, path, body, kind, _TIMEOUT)
        try:
            read: Object = json.loads(answer.read())
            return read
        finally:
            connection.close()

    def watch(self, path: str) -> Iterator[Object]:
        """Events until the API server ends the watch; raises one of FAILURES. Whoever sees one lists again."""
        connection, answer = self._sent(
            "GET", f"{path}&timeoutSeconds={WATCH_SECONDS}", None, MERGE, WATCH_SECONDS + 15
        )
        try:
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Refused(event["object"].get("code", 500), event["object"].get("message", "the watch broke"))
                yield event
        finally:
            connection.close()

    def _sent(
        self, method: str, path: str, body: Mapping[str, Any] | None, kind: str, timeout: float
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._trust)
        token = (self._credentials / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "cmp-node-agent"}
        if body is not None:
            headers["Content-Type"] = kind if method == "PATCH" else "application/json"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise Refused(answer.status, _complaint(answer.read()))
        except BaseException:
            connection.close()
            raise
        return connection, answer


def _complaint(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace")
