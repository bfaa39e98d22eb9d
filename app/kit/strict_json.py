"""JSON as it should be: what is ambiguous or hostile is refused with a pointer (reliability.md 40)."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 32
_MAX_INTEGER = 2**63


class StrictJsonError(ValueError):
    """Refused; `pointer` is the RFC 6901 place of the trouble, empty for the whole body."""

    def __init__(self, reason: str, pointer: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.pointer = pointer


def loads(raw: bytes) -> Any:
    """Parse a body.

    Raises:
        StrictJsonError: malformed, not UTF-8, NaN or infinite, duplicate keys, nested deeper than 32,
            lone surrogates, NUL, or an integer beyond 63 bits.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError("The body is not UTF-8") from error
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
        )
    except StrictJsonError:
        raise
    except RecursionError as error:
        raise StrictJsonError("The body is nested too deeply") from error
    except ValueError as error:
        raise StrictJsonError("The body is not valid JSON") from error
    _inspect(value, "", 0)
    return value


def _refuse_constant(name: str) -> Any:
    raise StrictJsonError(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise StrictJsonError("The same key stands twice", "/" + _escape(key))
            seen.add(key)
    return made


def _integer(text: str) -> int:
    if len(text) > 20:
        raise StrictJsonError("A number is out of range")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise StrictJsonError("A number is out of range")
    return value


def _inspect(value: Any, pointer: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise StrictJsonError("The body is nested too deeply", pointer)
    if isinstance(value, str):
        _inspect_text(value, pointer)
    elif isinstance(value, dict):
        for key, item in value.items():
            place = f"{pointer}/{_escape(key)}"
            _inspect_text(key, place)
            _inspect(item, place, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _inspect(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _MAX_INTEGER:
        raise StrictJsonError("A number is out of range", pointer)


def _inspect_text(text: str, pointer: str) -> None:
    if "\x00" in text:
        raise StrictJsonError("A text holds a NUL character", pointer)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StrictJsonError("A text holds half a character", pointer) from error


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1").encode("utf-8", "replace").decode()
