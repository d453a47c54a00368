"""Secrets at rest: AES-256-GCM, bound to the row that they belong to, with the key's id in front.

A sealed text is `<key id>.<base64 of nonce and ciphertext>`. The first key seals; every key that is known opens.
https://cryptography.io/en/latest/hazmat/primitives/aead/
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class NoKey(Exception):
    """No key is known that could seal, or the one that this was sealed with is not."""


class Sealer:
    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = {_id(key): AESGCM(key) for key in keys}
        self._macs = {_id(key): hmac.digest(key, b"cmp audit", "sha256") for key in keys}

    @property
    def ready(self) -> bool:
        return bool(self._keys)

    def seal(self, plain: Mapping[str, Any], belongs_to: str) -> str:
        """Raises NoKey."""
        if not self._keys:
            raise NoKey("no key")
        key_id, key = next(iter(self._keys.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = key.encrypt(nonce, json.dumps(plain).encode(), _bound(key_id, belongs_to))
        return f"{key_id}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, belongs_to: str) -> dict[str, Any]:
        """Raises NoKey; what was changed or belongs to another row does not open either."""
        key_id, _, text = sealed.partition(".")
        key = self._keys.get(key_id)
        if key is None:
            raise NoKey(f"sealed with the key {key_id}, which is not known here")
        raw = base64.b64decode(text)
        try:
            plain = key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(key_id, belongs_to))
        except InvalidTag as error:
            raise NoKey("it was changed, or belongs to another row") from error
        return dict(json.loads(plain))

    def chained(self, before: str, text: str) -> str:
        """A seal over this and all that came before; without any key it shows damage, but no forgery."""
        key_id = next(iter(self._macs), "")
        return f"{key_id}.{self._mac(key_id, before, text)}"

    def follows(self, before: str, text: str, chain: str) -> bool:
        """Whether `chain` is that of this text after that. One of a key that is not known here proves nothing, nor
        does one of no key after one that had a key.
        """
        key_id = chain.partition(".")[0]
        if key_id not in (self._macs if before.partition(".")[0] else {"", *self._macs}):
            return False
        return hmac.compare_digest(chain, f"{key_id}.{self._mac(key_id, before, text)}")

    def _mac(self, key_id: str, before: str, text: str) -> str:
        message = f"{before}\n{text}".encode()
        return hmac.new(self._macs.get(key_id, b""), message, hashlib.sha256).hexdigest()


def keys_of(text: str) -> list[bytes]:
    """Base64 keys, separated by commas or new lines. ValueError says what is wrong, never what was given."""
    keys = []
    for part in text.replace(",", "\n").split():
        try:
            key = base64.b64decode(part, validate=True)
        except ValueError as error:
            raise ValueError("a secret key is 32 random bytes in base64") from error
        if len(key) != KEY_BYTES:
            raise ValueError("a secret key is 32 random bytes in base64")
        keys.append(key)
    return keys


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _id(key: bytes) -> str:
    return hashlib.sha256(b"cmp key id" + key).hexdigest()[:8]


def _bound(key_id: str, belongs_to: str) -> bytes:
    return f"{key_id}/{belongs_to}".encode()
