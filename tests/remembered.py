"""What a process of tests works out once: the hash of a password, and what is garbage among what it imported."""

from __future__ import annotations

import gc
from functools import lru_cache

from app.kit import crypto

#: People in tests have the same few passwords, and to hash one is slow on purpose; to check one stays so.
crypto.password_hash = lru_cache(64)(crypto.password_hash)  # type: ignore[assignment]


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not go through it again."""
    gc.collect()
    gc.freeze()
