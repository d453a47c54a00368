"""Where Kubernetes is and who we are: kubeconfig (tokens, certificates, exec plugins, OIDC), in-cluster, or a URL.

kubernetes_asyncio reads and refreshes the credentials, nothing else of it is used.
"""

import asyncio
import os
import ssl
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography import x509

from app.kube.errors import BadTarget, Unreachable

REFRESH_SECONDS = 60.0
_SHOWN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class KubeTarget:
    """Which Kubernetes. `address` is a URL, or the path of a kubeconfig; none means where kubectl would look."""

    kind: Literal["url", "in-cluster", "kubeconfig"]
    address: str | None = None
    label: str = ""

    @classmethod
    def url(cls, address: str, *, label: str = "simulator") -> "KubeTarget":
        """Without credentials: for the simulator on this machine."""
        return cls("url", address.rstrip("/"), label)

    @classmethod
    def in_cluster(cls) -> "KubeTarget":
        return cls("in-cluster")

    @classmethod
    def kubeconfig(cls, path: str | os.PathLike[str] | None = None) -> "KubeTarget":
        return cls("kubeconfig", None if path is None else os.fspath(path))


class Credentials:
    """An API server's address, how to trust it, and the header that says who we are, kept fresh."""

    def __init__(self, host: str | None, description: str, configuration: Any = None, loader: Any = None) -> None:
        if not host:
            raise BadTarget("the configuration names no API server")
        self.host = host
        self.description = description
        self.proxy: str | None = getattr(configuration, "proxy", None)
        self.server_name: str | None = getattr(configuration, "tls_server_name", None)
        self.ssl: ssl.SSLContext | None = _trust(configuration) if host.startswith("https") else None
        self._configuration = configuration
        self._loader = loader
        self._certificate = _certificate(configuration)
        self._refreshed_at = time.monotonic()
        self._lock = asyncio.Lock()

    @classmethod
    async def load(cls, target: KubeTarget) -> "Credentials":
        """Raises BadTarget, whose message names the file or setting and never its content."""
        if target.kind == "url":
            return cls(str(target.address), f"{target.label} at {target.address}")
        try:
            return await (_in_cluster() if target.kind == "in-cluster" else _kubeconfig(target.address))
        except BadTarget:
            raise
        except Exception as error:
            where = "in-cluster configuration" if target.kind == "in-cluster" else f"kubeconfig {target.address or ''}"
            raise BadTarget(f"the {where.strip()} cannot be used: {type(error).__name__}") from error

    async def headers(self) -> dict[str, str]:
        if self._configuration is None:
            return {}
        if time.monotonic() - self._refreshed_at > REFRESH_SECONDS:
            await self._refresh(forced=False)
        value = await self._configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": value} if value else {}

    async def renew(self) -> bool:
        """After a 401: whether there is something new to try."""
        before = await self.headers()
        await self._refresh(forced=True)
        return before != await self.headers()

    async def certificates(self) -> dict[str, datetime]:
        """When those end that there are: ours, and the one that the API server shows. Raises Unreachable.

        What an exec plugin gives, it gives anew in time.
        """
        found = {}
        if self._certificate[0] and "exec" not in (getattr(self._loader, "_user", None) or {}):
            ours = x509.load_pem_x509_certificates(Path(self._certificate[0]).read_bytes())
            found["kubernetes_client"] = ours[0].not_valid_after_utc
        if self.ssl is not None and self.proxy is None:
            found["kubernetes_server"] = x509.load_der_x509_certificate(await self._shown()).not_valid_after_utc
        return found

    async def _shown(self) -> bytes:
        where = urlsplit(self.host)
        try:
            async with asyncio.timeout(_SHOWN_SECONDS):
                _, writer = await asyncio.open_connection(
                    where.hostname, where.port or 443, ssl=self.ssl, server_hostname=self.server_name or where.hostname
                )
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"its certificate cannot be seen: {type(error).__name__}") from error
        try:
            shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return shown
        finally:
            writer.transport.abort()

    async def _refresh(self, *, forced: bool) -> None:
        async with self._lock:
            if self._loader is None or (not forced and time.monotonic() - self._refreshed_at <= REFRESH_SECONDS):
                return
            self._refreshed_at = time.monotonic()
            if forced and hasattr(self._loader, "exec_plugin_expiry"):
                del self._loader.exec_plugin_expiry
            elif not forced and self._lasts():
                return
            try:
                await self._loader.load_and_set(self._configuration)
            except Exception as error:
                raise Unreachable(f"the credentials cannot be refreshed: {type(error).__name__}", 10.0) from error
            certificate = _certificate(self._configuration)
            if certificate != self._certificate and self.ssl is not None and certificate[0]:
                self.ssl.load_cert_chain(certificate[0], certificate[1])
                self._certificate = certificate

    def _lasts(self) -> bool:
        """An exec plugin that names no expiry is asked again only after a 401, as kubectl does."""
        user = getattr(self._loader, "_user", None)
        return user is not None and "exec" in user and not hasattr(self._loader, "exec_plugin_expiry")


# kubernetes_asyncio takes a second to import: only those pay for it who need it.
async def _in_cluster() -> Credentials:
    from kubernetes_asyncio import client, config

    configuration = client.Configuration()
    config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return Credentials(configuration.host, f"in-cluster API server at {configuration.host}", configuration)


async def _kubeconfig(path: str | None) -> Credentials:
    from kubernetes_asyncio import client, config
    from kubernetes_asyncio.config import kube_config

    where = _existing(path or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    configuration = client.Configuration()
    loader = await config.load_kube_config(config_file=where, client_configuration=configuration)
    context = (loader.current_context or {}).get("name")
    return Credentials(configuration.host, f"context {context} at {configuration.host}", configuration, loader)


def _existing(path: str) -> str:
    """KUBECONFIG may name several files, of which some may be missing."""
    where = os.path.expanduser(path)
    if not any(os.path.exists(part) for part in where.split(os.pathsep)):
        raise BadTarget(f"there is no kubeconfig at {where}")
    return where


def _trust(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=getattr(configuration, "ssl_ca_cert", None))
    # Cluster CAs often lack the extensions that Python 3.13 began to demand; kubectl does not ask for them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if getattr(configuration, "cert_file", None):
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if configuration is not None and not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _certificate(configuration: Any) -> tuple[str | None, str | None]:
    return getattr(configuration, "cert_file", None), getattr(configuration, "key_file", None)
