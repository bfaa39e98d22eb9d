"""Ids: prefixed and time-ordered (`chk_01j…`), UUIDv7 for the surfaces that want UUIDs, random tokens."""

from __future__ import annotations

import os
import secrets
import threading
import time
import uuid
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_lock = threading.Lock()
_last = 0


def _ordered_number() -> int:
    """48 bits of milliseconds and 80 random bits; never falls within a process."""
    global _last
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    with _lock:
        if number <= _last:
            number = _last + 1
        _last = number
    return number


def new_id(prefix: str) -> str:
    """A fresh id: the prefix, an underscore, 26 characters of Crockford's base 32 in time order."""
    number = _ordered_number()
    text = "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
    return f"{prefix}_{text}"


def time_of(text: str) -> datetime | None:
    """When an id of `new_id`, or what ends with one, was made; None for any other text."""
    number = _number_of(text)
    return None if number is None else datetime.fromtimestamp((number >> 80) / 1000, UTC)


def uuid_of(text: str) -> str | None:
    """An id of `new_id` as a UUID, version 8, always the same; a UUID is itself; None for any other text."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        number = _number_of(text)
        return None if number is None else _uuid(number, 8)


def _number_of(text: str) -> int | None:
    tail = text.rpartition("_")[2]
    if len(tail) != 26 or not set(tail) <= set(_ALPHABET):
        return None
    number = 0
    for char in tail:
        number = number << 5 | _ALPHABET.index(char)
    return number & (1 << 128) - 1


def new_uuid() -> str:
    """A fresh UUID, version 7 (RFC 9562): time-ordered."""
    milliseconds = time.time_ns() // 1_000_000
    return _uuid((milliseconds << 80) | int.from_bytes(os.urandom(10), "big"), 7)


def _uuid(number: int, version: int) -> str:
    """128 bits as a UUID of RFC 9562: version and variant take the place of six of them."""
    number = (number & ~(0xF << 76)) | (version << 76)
    return str(uuid.UUID(int=(number & ~(0x3 << 62)) | (2 << 62)))


def random_token(n_bytes: int = 24) -> str:
    """An unguessable url-safe token of `n_bytes` random bytes."""
    return secrets.token_urlsafe(n_bytes)
