"""The keys and certificates of one control plane. Knows x509, nothing of Kubernetes' processes."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=90)


class Authority:
    """Signs certificates and writes them as `<folder>/<name>.crt` and `.key`; its own is `ca`, made when missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = _subject("cmp-testbed", None)
        self.certificate = folder / "ca.crt"
        kept = folder / "ca.key"
        self._key = _read_private(kept) if kept.exists() else ec.generate_private_key(ec.SECP256R1())
        if not kept.exists():
            self._sign_itself()
            _write_private(kept, self._key)

    def server(
        self, name: str, names: list[str], addresses: list[str], lifetime: datetime.timedelta = LIFETIME
    ) -> tuple[Path, Path]:
        """A certificate for TLS servers reached under `names` and IP `addresses`; returns (certificate, key)."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        return self._issue(name, _subject(name, None), ExtendedKeyUsageOID.SERVER_AUTH, alternatives, lifetime)

    def client(self, name: str, group: str) -> tuple[Path, Path]:
        """A certificate that Kubernetes reads as user `name` in `group`; returns (certificate, key)."""
        return self._issue(name, _subject(name, group), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _sign_itself(self) -> None:
        certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self,
        name: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        alternatives: list[x509.GeneralName],
        lifetime: datetime.timedelta = LIFETIME,
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._name, key.public_key(), lifetime)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        # Python's TLS insists on knowing which key of the authority signed.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = self._folder / f"{name}.crt"
        signed = builder.sign(self._key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return certificate, _write_private(self._folder / f"{name}.key", key)


def signing_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A bare key pair, for signing tokens, made when missing; returns (public, private)."""
    if (folder / f"{name}.key").exists():
        return folder / f"{name}.pub", folder / f"{name}.key"
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / f"{name}.pub"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return public, _write_private(folder / f"{name}.key", key)


def _subject(name: str, group: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta = LIFETIME
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + lifetime)
    )


def _read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
