"""CMP with a certificate of its own."""

import ssl
from pathlib import Path

import httpx
import pytest

from tests.e2e.platform import Platform
from tests.kube.tls import Authority


def test_it_serves_https_and_nothing_else_on_that_port(tmp_path: Path) -> None:
    authority = Authority()
    authority.server_context(tmp_path)
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    extra = {"CMP_TLS_CERTIFICATE": str(tmp_path / "server.pem")}
    platform = Platform(tmp_path / "data", "auto", separate_worker=True, extra=extra, trusting=trusting)
    platform.start_api()
    try:
        with httpx.Client(base_url=platform.url, verify=trusting, headers={"Origin": platform.url}) as http:
            health = http.get("/health")
            assert health.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
            metadata = http.get("/.well-known/oauth-authorization-server").json()
            assert metadata["issuer"] == platform.url
            token = {"Authorization": f"Bearer {platform.token}"}
            http.put("/api/v1/users/me/password", json={"password": "a long enough password"}, headers=token)
            answer = http.post("/login", data={"username": "admin", "password": "a long enough password"})
            assert answer.headers["set-cookie"].startswith("__Host-cmp-session=")
            assert http.get("/api/v1/users/me").json()["username"] == "admin"
        with pytest.raises(httpx.TransportError):
            httpx.get(platform.url.replace("https", "http") + "/health")
        with_cbc = ssl.create_default_context(cadata=authority.certificate.decode())
        with_cbc.maximum_version = ssl.TLSVersion.TLSv1_2
        assert httpx.get(f"{platform.url}/health", verify=with_cbc).status_code == 200
        with_cbc.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{platform.url}/health", verify=with_cbc)
        old = ssl.create_default_context(cadata=authority.certificate.decode())
        with pytest.deprecated_call():
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{platform.url}/health", verify=old)
    finally:
        platform.stop()
