"""Slots: values that are filled into a page after it was drawn, so that one drawing serves many readers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import escape

#: The brackets are characters that escaping leaves alone; a slot inside a filled-in value is never looked at.
_SLOT = re.compile(r"⟦(\w+)⟧")


class Slot(str):
    """Stands for a value in a template; it passes through filters untouched."""

    __slots__ = ()

    @classmethod
    def named(cls, name: str) -> Slot:
        """The slot of that name."""
        return cls(f"⟦{name}⟧")

    def isoformat(self) -> str:
        """An instant's slot, where a template asks for its ISO form."""
        return self

    def __neg__(self) -> Slot:
        """An amount's slot, where a template shows a deduction: what is filled in has its sign already."""
        return self


class Drawn:
    """A page with slots, taken apart once and put together for each reader."""

    def __init__(self, page: str) -> None:
        self._parts = _SLOT.split(page)

    def fill(self, values: Mapping[str, str]) -> str:
        """The page with the values in their slots, escaped (markup stays as it is)."""
        parts = self._parts.copy()
        parts[1::2] = [str(escape(values[name])) for name in parts[1::2]]
        return "".join(parts)
