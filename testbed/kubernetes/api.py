"""The few calls the testbed itself makes to the API server, as administrator. Synchronous, JSON, no retries."""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


class Refused(Exception):
    """The API server answered with an error `status`."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


class Api:
    """`certificate` and `key` say who asks; `authority` proves the server."""

    def __init__(self, url: str, authority: Path, certificate: Path, key: Path) -> None:
        self._url = url
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        # No proxy of the environment is for loopback.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str) -> Any:
        return json.loads(self.call("GET", path))

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self.call("POST", path, body))

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        """Raises Refused on a 4xx or 5xx answer, OSError when there is none."""
        request = urllib.request.Request(
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=30) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read().decode(errors="replace")) from None
