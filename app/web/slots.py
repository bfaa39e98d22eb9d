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


def fill(page: str, values: Mapping[str, str]) -> str:
    """Put the values into their slots, escaped (markup stays as it is), in one pass."""
    escaped = {name: str(escape(value)) for name, value in values.items()}
    return _SLOT.sub(lambda found: escaped[found.group(1)], page)
