"""A text within a JSON column, in lower case, as an index and a query both write it.

An index over an expression serves only queries with the very same one, and a path that is bound as a
parameter is another: here it stands in the statement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, String
from sqlalchemy.ext.compiler import compiles


class LoweredText(ColumnElement[str]):
    """The text under a key of a JSON object, lowered; the key is one of ours, never typed by anybody."""

    type = String()
    inherit_cache = False

    def __init__(self, column: Any, key: str) -> None:
        if not key.isidentifier():
            raise ValueError("a key of ours is a plain word")
        self.column, self.key_name = column, key

    def self_group(self, against: Any = None) -> LoweredText:
        """A call needs no brackets."""
        return self


@compiles(LoweredText, "sqlite")
def _on_sqlite(element: LoweredText, compiler: Any, **options: Any) -> str:
    return f"lower(json_extract({compiler.process(element.column, **options)}, '$.{element.key_name}'))"


@compiles(LoweredText, "postgresql")
def _on_postgresql(element: LoweredText, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.column, **options)} ->> '{element.key_name}')"
