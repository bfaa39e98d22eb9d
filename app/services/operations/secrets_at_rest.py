"""Encryption of what is kept: one key ring for the process, a context for each place (security.md)."""

from __future__ import annotations

from functools import lru_cache

from app import settings
from app.kit.crypto import KeyRing, keyed_hash


@lru_cache(maxsize=4)
def _ring(keys: tuple[tuple[str, bytes], ...]) -> KeyRing:
    return KeyRing(dict(keys))


def encrypt(plaintext: str, *place: str) -> str:
    """Encrypt for a place: merchant, row, column."""
    return _current().encrypt(plaintext, "/".join(place))


def decrypt(text: str, *place: str) -> str:
    """Decrypt what was encrypted for the same place."""
    return _current().decrypt(text, "/".join(place))


def primary_key_id() -> str:
    """The id of the key that encrypts now."""
    return next(iter(settings.current().encryption_key_ring))


def needs_rotation(text: str) -> bool:
    """Whether the text stands under a key that is no longer the first."""
    return _current().needs_rotation(text)


def renew(text: str, *place: str) -> str:
    """The same secret under the first key.

    Raises:
        DecryptionError: no key of the ring opens it in this place.
    """
    return encrypt(decrypt(text, *place), *place) if needs_rotation(text) else text


def seal(content: bytes, *place: str) -> bytes:
    """Encrypt a file for a place: merchant, row, what it is."""
    return _current().seal(content, "/".join(place))


def unseal(data: bytes, *place: str) -> bytes:
    """The content of a file that was encrypted for the same place, or of one that never was.

    Raises:
        DecryptionError: no key of the ring opens it in this place.
    """
    return _current().unseal(data, "/".join(place))


def needs_sealing(data: bytes) -> bool:
    """Whether a file is not encrypted, or under a key that is no longer the first."""
    return _current().needs_sealing(data)


def hash_token(token: str) -> str:
    """The keyed hash under which a random token or key is found again."""
    return keyed_hash(token, settings.current().signing_key)


def _current() -> KeyRing:
    return _ring(tuple(settings.current().encryption_key_ring.items()))
