"""Secrets at rest: encryption with a key ring, keyed hashes, passwords, API keys (security.md)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Mapping

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

#: Files that are encrypted begin so; the id of their key and a colon follow.
_SEALED = b"till-sealed-1:"

#: argon2id at 46 MiB and one pass: the default of 64 MiB and three cost 266 ms on the reference machine.
_HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)


class DecryptionError(ValueError):
    """The text was not encrypted by this key ring for this place."""


class KeyRing:
    """AES-256-GCM under named keys: the first encrypts, all decrypt; bound to a place by `context`."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._primary = next(iter(keys))

    def encrypt(self, plaintext: str, context: str) -> str:
        """`v1:key_id:base64`; `context` is merchant, row and column, so that a copied cell is useless."""
        nonce = secrets.token_bytes(12)
        sealed = self._ciphers[self._primary].encrypt(nonce, plaintext.encode(), context.encode())
        return f"v1:{self._primary}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, context: str) -> str:
        """The plaintext.

        Raises:
            DecryptionError: unknown key, another context, or altered text.
        """
        version, _, rest = text.partition(":")
        key_id, _, encoded = rest.partition(":")
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise DecryptionError("encrypted under an unknown key")
        try:
            raw = base64.b64decode(encoded, validate=True)
            return cipher.decrypt(raw[:12], raw[12:], context.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise DecryptionError("altered, or from another place") from error

    def needs_rotation(self, text: str) -> bool:
        """Whether the text stands under a key that is no longer the first."""
        return text.split(":", 2)[1] != self._primary

    def seal(self, content: bytes, context: str) -> bytes:
        """The same for a file, which is held in memory as a whole."""
        nonce = secrets.token_bytes(12)
        sealed = self._ciphers[self._primary].encrypt(nonce, content, context.encode())
        return self._head() + nonce + sealed

    def unseal(self, data: bytes, context: str) -> bytes:
        """The content of a file; one from before files were encrypted is its content.

        Raises:
            DecryptionError: unknown key, another context, or altered bytes.
        """
        if not data.startswith(_SEALED):
            return data
        key_id, _, rest = data.removeprefix(_SEALED).partition(b":")
        cipher = self._ciphers.get(key_id.decode(errors="replace"))
        if cipher is None:
            raise DecryptionError("encrypted under an unknown key")
        try:
            return cipher.decrypt(rest[:12], rest[12:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise DecryptionError("altered, or from another place") from error

    def needs_sealing(self, data: bytes) -> bool:
        """Whether a file is not encrypted under the first key."""
        return not data.startswith(self._head())

    def _head(self) -> bytes:
        return _SEALED + self._primary.encode() + b":"


def keyed_hash(value: str, pepper: bytes) -> str:
    """HMAC-SHA256, hexadecimal: for keys and tokens that are already random (never for passwords)."""
    return hmac.new(pepper, value.encode(), hashlib.sha256).hexdigest()


def password_hash(password: str) -> str:
    """argon2id with its parameters in the text."""
    return _HASHER.hash(password)


def verify_password(password: str, hashed: str) -> bool:
    """Whether the password is the hashed one; takes the same time either way."""
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def password_needs_rehash(hashed: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(hashed)


def new_api_key(kind: str, mode: str) -> str:
    """`sk_test_` and so on, 43 random base-62 characters, 6 of checksum."""
    body = "".join(secrets.choice(BASE62) for _ in range(43))
    return f"{kind}_{mode}_{body}{_checksum(body)}"


def looks_like_api_key(text: str) -> bool:
    """Whether the text has a key's form and checksum: a typing mistake needs no look-up."""
    kind, _, rest = text.partition("_")
    mode, _, secret = rest.partition("_")
    if kind not in ("sk", "pk") or mode not in ("test", "live") or len(secret) != 49:
        return False
    return hmac.compare_digest(_checksum(secret[:43]).encode(), secret[43:].encode())


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(digits)
