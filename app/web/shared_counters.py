"""Counters that all processes of one machine share: a file of fixed size that each of them maps.

A counter is a slot of twenty-four bytes in one of many small sets; its set is locked for the time of a look
and a write, which costs a few microseconds and no query. Where a set is full the window that ends first
makes room: with windows of a second that one is over nearly always.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import weakref
from pathlib import Path

from app.kit import clock

#: Hash of the key, end of its window (unix seconds), how many.
_SLOT = struct.Struct("<8sdq")
_WAYS, _SETS = 8, 2048
_SET_BYTES = _SLOT.size * _WAYS
_SIZE = _SET_BYTES * _SETS


class SharedCounters:
    """See `Counters` in web/counters.py."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_size != _SIZE:
            os.ftruncate(self._file, _SIZE)
        self._map = mmap.mmap(self._file, _SIZE)
        self._threads = threading.Lock()  # the file's lock is between processes alone

    def count(self, key: str, window_seconds: int) -> tuple[int, float]:
        """Count a call: how many there are in the open window, and when it ends (unix seconds)."""
        name = hashlib.blake2b(key.encode(), digest_size=8).digest()
        start = int.from_bytes(name[:4], "little") % _SETS * _SET_BYTES
        now = clock.now().timestamp()
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _SET_BYTES, start)
            try:
                place, ends, count = self._find(name, start)
                if not now < ends <= now + window_seconds:  # over, or of a clock that was set back
                    ends, count = now + window_seconds, 0
                _SLOT.pack_into(self._map, place, name, ends, count + 1)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _SET_BYTES, start)
        return count + 1, ends

    def _find(self, name: bytes, start: int) -> tuple[int, float, int]:
        """The slot of that name with its window; where it has none, the one that makes room."""
        first_over, first_end = start, float("inf")
        for place in range(start, start + _SET_BYTES, _SLOT.size):
            held, ends, count = _SLOT.unpack_from(self._map, place)
            if held == name:
                return place, ends, count
            if ends < first_end:
                first_over, first_end = place, ends
        return first_over, 0.0, 0
