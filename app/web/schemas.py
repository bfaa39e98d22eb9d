"""What every body and answer of the JSON surfaces shares: strictness, instants, pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from app.domain.errors import InvalidRequest
from app.kit.clock import to_rfc3339
from app.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT, Page

T = TypeVar("T")
R = TypeVar("R")


def _whole(value: Any) -> Any:
    """JSON Schema calls 1020.0 an integer; `true` and `"7"` are none."""
    if isinstance(value, (bool, str)):
        raise ValueError("must be an integer")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


#: An integer as JSON has it: no booleans, no texts.
Integer = Annotated[int, BeforeValidator(_whole)]
#: An instant as RFC 3339 in UTC with whole seconds.
Instant = Annotated[
    datetime,
    PlainSerializer(to_rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Body(BaseModel):
    """A request body: unknown fields are refused, types are not bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Body):
    """A body in which nothing has to be said."""


class Query(BaseModel):
    """Query parameters: texts are read as what the field wants."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Which page of a list."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=128)


class NumberedQuery(PageQuery):
    """Which page of a list, by `cursor` or by its number, from 1; then all is counted (OP-15)."""

    page: int | None = Field(None, ge=1, le=1_000_000)

    def place(self) -> dict[str, Any]:
        """The arguments of a service that has such lists."""
        return {"limit": self.limit, "cursor": self.cursor, "page": self.page}


def either(name: str, value: Any, alias: Any) -> Any:
    """What a filter says that has two names.

    Raises:
        InvalidRequest: both are given and differ; `name` is the alias.
    """
    if value is not None and alias is not None and value != alias:
        raise InvalidRequest(f"{name} says something else", code="conflicting_filters", field=name)
    return value if value is not None else alias


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(from_attributes=True)


class Listing(View, Generic[T]):
    """A page of a list (OP-15)."""

    data: list[T]
    has_more: bool
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[R], view: Callable[[R], T]) -> Listing[T]:
        """The page as it is answered; one that has a number says how many there are in all."""
        said = {"data": [view(row) for row in page.data], "has_more": page.has_more}
        if page.numbered is None:
            return cls(**said, next_cursor=page.next_cursor)
        counted: Any = NumberedListing
        kind: type[NumberedListing[T]] = counted[cls.__pydantic_generic_metadata__["args"] or Any]
        return kind(**said, next_cursor=None, **asdict(page.numbered))


class NumberedListing(Listing[T], Generic[T]):
    """A page that was asked for by its number: only then everything is counted (OP-15)."""

    page: int
    limit: int
    total: int


def pages_of(view: Any) -> Any:
    """What a list of such views answers that is read by cursor or by number."""
    return NumberedListing[view] | Listing[view]
