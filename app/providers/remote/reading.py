"""Reading what a remote provider answered: nothing is trusted, everything has a bound.

A value that cannot be is a `ValueError`; `understood` makes of it what the callers of a provider know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from app.domain import money
from app.domain.errors import ProviderUnavailable

T = TypeVar("T")

MAX_TEXT = 200
_WORD = re.compile(r"[a-z][a-z0-9_]{0,47}")


def understood(provider: str, answer: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T]) -> T:
    """What the answer says.

    Raises:
        ProviderUnavailable: it says something that cannot be.
    """
    try:
        return read(answer)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProviderUnavailable(provider, "answered what cannot be") from error


def text(value: Any, longest: int = MAX_TEXT) -> str:
    """A text with something in it."""
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise ValueError("not a text")
    return value


def word(value: Any) -> str:
    """A code: lower-case letters, digits and underscores."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError("not a code")
    return value


def whole(value: Any, low: int = 0, high: int = money.MAX_AMOUNT) -> int:
    """A whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError("not a number that can be")
    return value


def percent(value: Any, *, above_zero: bool = False) -> Decimal:
    """A percentage from 0 to 100, with four places at most, as a number or as a text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("not a percentage")
    try:
        read = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("not a percentage") from error
    if not read.is_finite() or not 0 <= read <= 100 or (above_zero and not read):
        raise ValueError("not a percentage")
    if read != round(read, 4):
        raise ValueError("more places than are kept")
    return read


def items(value: Any, most: int) -> Sequence[Mapping[str, Any]]:
    """A list of objects."""
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("not a list, or a long one")
    if not all(isinstance(item, dict) for item in value):
        raise ValueError("not a list of objects")
    return value


def distinct(names: Sequence[str]) -> None:
    """Raises ValueError where something is named twice."""
    if len(set(names)) != len(names):
        raise ValueError("named twice")
