"""Dataclasses as dictionaries."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any


def fields_of(record: Any) -> dict[str, Any]:
    """A dataclass's fields by name, as they are; `dataclasses.asdict` copies what is in them."""
    kind: Any = type(record)
    return {name: getattr(record, name) for name in _names(kind)}


@lru_cache(maxsize=64)
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
