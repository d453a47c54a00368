"""Public SSH keys: which are taken, and how one is told from another."""

import base64
import hashlib
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from app.rules import naming

PATTERN = (
    r"^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]+={0,3}( [\x20-\x7e]*)?$"
)
KEY_OR_NAME = f"{PATTERN}|{naming.NAME_PATTERN}"
LEAST_RSA_BITS = 2048
_NOT_WHOLE = "this is no whole SSH key: copy all of the line in the file that ends in .pub"


def checked(text: str) -> str:
    """Raises ValueError, in words that repeat nothing of it."""
    if re.search("PRIVATE KEY|Private-Lines", text):
        raise ValueError("this is a private key, which nobody else may see: send the one in the file that ends in .pub")
    if text.startswith("ssh-dss "):
        raise ValueError("DSA keys are too weak, and OpenSSH takes them no more: make one with ssh-keygen -t ed25519")
    if re.fullmatch(PATTERN, text) is None:
        raise ValueError("a public SSH key is needed as ssh-keygen writes it, such as ssh-ed25519 AAAA… name")
    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm, NotImplementedError) as error:
        raise ValueError(_NOT_WHOLE) from error
    if base64.b64encode(_blob(text)).decode() != text.split(" ")[1]:  # OpenSSH takes no padding beyond what is needed
        raise ValueError(_NOT_WHOLE)
    if isinstance(key, RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise ValueError(f"an RSA key has at least {LEAST_RSA_BITS} bits: make one with ssh-keygen -t ed25519")
    return text


def fingerprint(key: str) -> str:
    """As ssh-keygen -l prints it; of the key alone, whatever stands behind it."""
    digest = hashlib.sha256(_blob(key)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def is_name(text: str) -> bool:
    """Of a saved key; a key itself has a space in it."""
    return " " not in text


def _blob(key: str) -> bytes:
    return base64.b64decode(key.split(" ")[1])
