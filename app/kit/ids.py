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
    tail = text.rpartition("_")[2]
    if len(tail) != 26 or not set(tail) <= set(_ALPHABET):
        return None
    number = 0
    for char in tail:
        number = number << 5 | _ALPHABET.index(char)
    return datetime.fromtimestamp((number >> 80) / 1000, UTC)


def new_uuid() -> str:
    """A fresh UUID, version 7 (RFC 9562): time-ordered."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (7 << 76)
    value = (value & ~(0x3 << 62)) | (2 << 62)
    return str(uuid.UUID(int=value))


def random_token(n_bytes: int = 24) -> str:
    """An unguessable url-safe token of `n_bytes` random bytes."""
    return secrets.token_urlsafe(n_bytes)
