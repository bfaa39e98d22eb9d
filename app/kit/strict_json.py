"""JSON as it should be: what is ambiguous or hostile is refused with a pointer (reliability.md 40).

A body without anything suspicious is parsed once, by the C scanner. Only a suspicious one (many brackets,
surrogate escapes, very long numbers, a key twice) is parsed again with every value looked at.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

MAX_DEPTH = 32
_MAX_INTEGER = 2**63
_SAFE_DIGITS = 18


class StrictJsonError(ValueError):
    """Refused; `pointer` is the RFC 6901 place of the trouble, empty for the whole body."""

    def __init__(self, reason: str, pointer: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.pointer = pointer


def loads(raw: bytes, *, exact: bool = False) -> Any:
    """Parse a body; `exact` numbers with a fraction are decimals, by their text.

    Raises:
        StrictJsonError: malformed, not UTF-8, NaN or infinite, duplicate keys, nested deeper than 32,
            lone surrogates, NUL, or an integer beyond 63 bits.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError("The body is not UTF-8") from error
    fast, careful = (_FAST_EXACT, _CAREFUL_EXACT) if exact else (_FAST, _CAREFUL)
    try:
        if not _suspicious(text):
            try:
                return fast.decode(text)
            except _LookCloserError:
                pass
        return _checked(careful.decode(text), "", 0)
    except StrictJsonError:
        raise
    except RecursionError as error:
        raise StrictJsonError("The body is nested too deeply") from error
    except ValueError as error:
        raise StrictJsonError("The body is not valid JSON") from error


def _suspicious(text: str) -> bool:
    """Whether it may be nested too deeply, or spells a NUL or half a character as an escape."""
    if text.count("{") + text.count("[") > MAX_DEPTH:
        return True
    return "\\u" in text and ("\\u0000" in text or "\\ud" in text or "\\uD" in text)


class _LookCloserError(Exception):
    """The fast parser met something that the careful one must place."""


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written, its keys perhaps twice."""


class _Refused:
    """Stands where a value was that cannot be had."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _LookCloserError
    return made


def _look_closer(_: str) -> Any:
    raise _LookCloserError


def _short_integer(text: str) -> int:
    if len(text) > _SAFE_DIGITS:
        raise _LookCloserError
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _LookCloserError
    return value


def _constant(name: str) -> Any:
    return _Refused(f"{name} is not a JSON number")


def _integer(text: str) -> Any:
    value = int(text) if len(text) <= 20 else _MAX_INTEGER
    return value if abs(value) < _MAX_INTEGER else _Refused("A number is out of range")


def _float(text: str) -> Any:
    value = float(text)
    return value if math.isfinite(value) else _Refused("A number is out of range")


def _finite_decimal(text: str) -> Decimal:
    _finite_float(text)
    return Decimal(text)


def _decimal(text: str) -> Any:
    return Decimal(text) if math.isfinite(float(text)) else _Refused("A number is out of range")


_FAST = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_look_closer,
    parse_int=_short_integer,
    parse_float=_finite_float,
)
_CAREFUL = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_constant=_constant, parse_int=_integer, parse_float=_float
)
_FAST_EXACT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_look_closer,
    parse_int=_short_integer,
    parse_float=_finite_decimal,
)
_CAREFUL_EXACT = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_constant=_constant, parse_int=_integer, parse_float=_decimal
)


def _checked(value: Any, pointer: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise StrictJsonError("The body is nested too deeply", pointer)
    if isinstance(value, _Refused):
        raise StrictJsonError(value.reason, pointer)
    if isinstance(value, str):
        _check_text(value, pointer)
    elif isinstance(value, _Pairs):
        return _checked_object(value, pointer, depth)
    elif isinstance(value, list):
        return [_checked(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
    return value


def _checked_object(pairs: _Pairs, pointer: str, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in pairs:
        place = f"{pointer}/{_escape(key)}"
        _check_text(key, place)
        if key in made:
            raise StrictJsonError("The same key stands twice", place)
        made[key] = _checked(item, place, depth + 1)
    return made


def _check_text(text: str, pointer: str) -> None:
    if "\x00" in text:
        raise StrictJsonError("A text holds a NUL character", pointer)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StrictJsonError("A text holds half a character", pointer) from error


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1").encode("utf-8", "replace").decode()
