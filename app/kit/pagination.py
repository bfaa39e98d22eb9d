"""Keyset pages: an opaque cursor names the last row seen; no OFFSET, no COUNT (performance.md)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

DEFAULT_LIMIT, MAX_LIMIT = 20, 100


@dataclass(frozen=True, slots=True)
class Numbered:
    """The number of a page that was asked for by it, from 1, and how many rows all pages have."""

    page: int
    limit: int
    total: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, newest first. `next_cursor` is None on the last one, and on those that have a number."""

    data: list[T]
    next_cursor: str | None = None
    numbered: Numbered | None = None

    @property
    def has_more(self) -> bool:
        """Whether another page follows."""
        if self.numbered is not None:
            return self.numbered.page * self.numbered.limit < self.numbered.total
        return self.next_cursor is not None


def encode_cursor(last_id: str) -> str:
    """The cursor that continues after the row with this id."""
    return base64.urlsafe_b64encode(last_id.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> str | None:
    """The id that the cursor names, or None when it is not a cursor of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        return None
    return text if 0 < len(text) <= 64 and text.replace("_", "").isalnum() else None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_moment(at: datetime, last_id: str) -> str:
    """The cursor of a list in the order of an instant, then of ids."""
    return encode_cursor(f"{(at - _EPOCH) // timedelta(microseconds=1)}_{last_id}")


def decode_moment(cursor: str) -> tuple[datetime, str] | None:
    """The instant and the id that the cursor names, or None when it is not a cursor of ours."""
    micros, _, last_id = (decode_cursor(cursor) or "").partition("_")
    if not (micros.isdigit() and len(micros) <= 16 and last_id):
        return None
    return _EPOCH + timedelta(microseconds=int(micros)), last_id
