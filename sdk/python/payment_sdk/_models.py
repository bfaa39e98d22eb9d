"""From JSON to typed, frozen dataclasses: unknown fields are passed over, missing ones are told.

A field's name in JSON is its own unless `named()` says otherwise; its type says how its value is read.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from payment_sdk.errors import InvalidResponseError

Read = Callable[[Any], Any]
Plan = tuple[tuple[str, str, Read, Any], ...]
#: Made once for each model.
_PLANS: dict[Any, Plan] = {}


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """How an answer came: `replayed` says that it is the answer to an earlier try of the same call."""

    status: int = 0
    request_id: str | None = None
    replayed: bool = False
    etag: str | None = None


_NONE = ResponseInfo()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What every result shares: it compares by its content, and `response` says how it came."""

    response: ResponseInfo = field(default=_NONE, repr=False, compare=False)

    @classmethod
    def of(cls, value: Any, response: ResponseInfo = _NONE) -> Self:
        """This model out of parsed JSON.

        Raises:
            InvalidResponseError: a field is missing or has another type.
        """
        if not isinstance(value, Mapping):
            raise InvalidResponseError(f"{cls.__name__}: not an object")
        values: dict[str, Any] = {}
        for name, key, read, missing in _plan(cls):
            if key in value:
                try:
                    values[name] = read(value[key])
                except (ValueError, TypeError) as error:
                    raise InvalidResponseError(f"{cls.__name__}.{name}: {error}") from error
            elif missing is MISSING:
                raise InvalidResponseError(f"{cls.__name__}: {key} is missing")
            else:
                values[name] = missing
        return cls(**values, response=response)


def named(key: str) -> Any:
    """A field that is called `key` in JSON."""
    return field(metadata={"key": key})


def hidden() -> Any:
    """A field that is not shown by `repr`, and may be absent."""
    return field(default=None, repr=False)


def json_names(model: type[Model]) -> set[str]:
    """What a model reads, by its names in JSON."""
    return {key for _, key, _, _ in _plan(model)}


def _plan(model: type[Model]) -> Plan:
    """Each field: its name, its name in JSON, how it is read, and what it is when absent."""
    if model not in _PLANS:
        _PLANS[model] = _made(model)
    return _PLANS[model]


def _made(model: type[Model]) -> Plan:
    hints = get_type_hints(model)
    plan = []
    for one in fields(model):
        if one.name == "response":
            continue
        optional = type(None) in get_args(hints[one.name])
        missing = None if optional and one.default is MISSING else one.default
        plan.append((one.name, one.metadata.get("key", one.name), _reader(hints[one.name]), missing))
    return tuple(plan)


def _reader(hint: Any) -> Read:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [part for part in arguments if part is not type(None)]
        read = _reader(inner[0])
        return lambda value: None if value is None else read(value)
    if origin is list:
        each = _reader(arguments[0])
        return lambda value: [each(item) for item in _checked(value, list)]
    if hint is Any:
        return lambda value: value
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint.of
    return _SCALARS.get(origin or hint, lambda value: value)


def _checked(value: Any, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"unexpected {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(_checked(value, int))


def _instant(text: str) -> datetime:
    """An instant; where no zone is named it is UTC, as on the orders surface."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


_SCALARS: dict[Any, Read] = {
    str: lambda value: _checked(value, str),
    bool: lambda value: _checked(value, bool),
    int: _integer,
    float: lambda value: float(_checked(value, (int, float))),
    dict: lambda value: _checked(value, dict),
    # By its shortest text, so that 19.99 is 19.99.
    Decimal: lambda value: Decimal(repr(_checked(value, (int, float)))),
    datetime: lambda value: _instant(_checked(value, str)),
    date: lambda value: date.fromisoformat(_checked(value, str)),
}
