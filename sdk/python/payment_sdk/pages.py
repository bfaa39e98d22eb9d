"""Lists that come in pages: a page is a list of its rows, and iterating over it goes on to the next pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from payment_sdk.models.sessions import HostedSessionRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, newest first. `for row in page` goes over this page and all that follow.

    `data` is this page alone; `next_cursor` continues it later or elsewhere.
    """

    data: list[T]
    has_more: bool
    next_cursor: str | None
    _turn: Callable[[str], Page[T]] = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.data

    def pages(self) -> Iterator[Page[T]]:
        """This page and each that follows, fetched when it is asked for."""
        page: Page[T] | None = self
        while page is not None:
            yield page
            page = page.next_page()

    def next_page(self) -> Page[T] | None:
        """The next page, None after the last."""
        if not self.has_more or self.next_cursor is None:
            return None
        return self._turn(self.next_cursor)


@dataclass(frozen=True, slots=True)
class OffsetPage:
    """A page of hosted sessions, by limit and offset, newest first.

    Iterating goes over this page and all that follow, and shows no session twice although new ones push
    older ones along. With a `status` a session that leaves it meanwhile moves others up unseen: narrow
    reports to what no longer changes.
    """

    data: list[HostedSessionRow]
    limit: int
    offset: int
    _turn: Callable[[int], OffsetPage] = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[HostedSessionRow]:
        seen: set[str] = set()
        for page in self.pages():
            for row in page.data:
                if row.checkout_session_id not in seen:
                    seen.add(row.checkout_session_id)
                    yield row

    def pages(self) -> Iterator[OffsetPage]:
        """This page and each that follows, fetched when it is asked for."""
        page: OffsetPage | None = self
        while page is not None:
            yield page
            page = page.next_page()

    def next_page(self) -> OffsetPage | None:
        """The next page, None after one that is not full."""
        if len(self.data) < self.limit:
            return None
        return self._turn(self.offset + self.limit)
