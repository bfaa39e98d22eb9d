"""What is stored, before and after: how many rows of every table, and what a merchant's own rows say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, MetaData, Table, func, literal, select, union_all
from sqlalchemy.sql.selectable import CompoundSelect

from app.db import engine, reading

#: What a refused call may leave: that it was counted, answered, challenged.
BOOKKEEPING = frozenset({"rate_hits", "idempotency_records", "mfa_challenges", "alembic_version"})
#: Changes with every use.
_USE = frozenset({"last_used_at", "updated_at"})


class Rows:
    """The tables of the database that this process uses."""

    def __init__(self, tenant_id: str) -> None:
        found = MetaData()
        found.reflect(engine())
        self._tables = {name: table for name, table in found.tables.items() if name not in BOOKKEEPING}
        self._tenant_id = tenant_id
        self._all = self._counting(mine=False)
        self._mine = self._counting(mine=True)

    def _counting(self, *, mine: bool) -> CompoundSelect[Any]:
        parts = []
        for name, table in self._tables.items():
            if mine and "tenant_id" not in table.c:
                continue
            part = select(literal(name), func.count()).select_from(table)
            parts.append(part.where(*self._own(table)) if mine else part)
        return union_all(*parts)

    def _own(self, table: Table) -> list[ColumnElement[bool]]:
        """The merchant's, of test mode where the table knows modes."""
        test = [table.c.mode == "test"] if "mode" in table.c else []
        return [table.c.tenant_id == self._tenant_id, *test]

    def count(self, *, mine: bool = False) -> dict[str, int]:
        """How many rows each table has, of everybody or of the merchant's test mode alone."""
        with reading() as db:
            return {row[0]: row[1] for row in db.execute(self._mine if mine else self._all)}

    def say(self) -> dict[str, list[str]]:
        """The rows of the merchant's test mode in words, but for when a thing was last used."""
        said = {}
        with reading() as db:
            for name, table in self._tables.items():
                if "tenant_id" in table.c:
                    columns = [column for column in table.c if column.name not in _USE]
                    mine = select(*columns).where(*self._own(table))
                    said[name] = sorted(repr(tuple(row)) for row in db.execute(mine))
        return said
