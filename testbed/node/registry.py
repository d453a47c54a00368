"""A registry from which the node pulls everything: what `images.write` made, nothing else, read-only, inside the node.

    python -m testbed.node.registry <folder> <port>

So an image that does not exist is refused by a registry that answers, as with a typing error anywhere else. What lies
below `private/` is given only to whoever logs in as `images.LOGIN`.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from testbed.node.images import LOGIN

_AUTHORIZED = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = urlsplit(self.path).path.removeprefix("/v2/")
        if path.startswith("private/") and self.headers.get("Authorization") != _AUTHORIZED:
            self._send(401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "log in first"}]}', with_body)
            return
        found = self._find(path)
        if path and found is None:
            self._send(404, b'{"errors": [{"code": "NOT_FOUND", "message": "not in this registry"}]}', with_body)
            return
        content = (self.folder / "blobs" / found.replace(":", "-")).read_bytes() if found else b"{}"
        self._send(200, content, with_body, found)

    def _find(self, path: str) -> str | None:
        """The digest of the blob that `path` asks for, when it is here."""
        repository, _, digest = path.partition("/blobs/")
        if not digest:
            repository, _, reference = path.partition("/manifests/")
            tags = json.loads((self.folder / "tags.json").read_text()).get(repository, {})
            digest = tags.get(reference, reference)
        there = digest.startswith("sha256:") and (self.folder / "blobs" / digest.replace(":", "-")).is_file()
        return digest if there else None

    def _send(self, status: int, content: bytes, with_body: bool, digest: str | None = None) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="testbed"')
        manifest = content.startswith(b'{"schemaVersion"')
        self.send_header("Content-Type", json.loads(content)["mediaType"] if manifest else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if with_body:
            self.wfile.write(content)


def main() -> None:
    _Handler.folder = Path(sys.argv[1])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _Handler).serve_forever()


if __name__ == "__main__":
    main()
