"""The nightly examination: every text that is stored is read for card numbers, and for the keys it is under.

It reads in short keyset queries by primary key, so that it neither holds a transaction nor much memory, and
keeps counts and places, never what it found.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import JSON, String, Table, select, tuple_

from app.connectors.sandbox import book
from app.db import reading, transaction
from app.domain.rules.card_scan import shows_card_number
from app.kit import clock
from app.kit.ids import new_id
from app.models.base import Base
from app.models.operations.examination import Examination
from app.services.operations import jobs, secrets_at_rest

EVERY = timedelta(hours=24)
CHUNK = 1000
#: The examination is the installation's, no merchant's.
OWNER = "installation"

_ENCRYPTED = re.compile(r"v1:([^:]{1,64}):")


@dataclass(frozen=True, slots=True)
class Chain:
    """What was found of a journal's hash chain: what is wrong with it, and the last entry that was seen."""

    problems: list[str]
    sequence: int
    hash: str


def enqueue_due() -> int:
    """Ask for an examination where the last one is a day old; of several workers one does it."""
    found = latest()
    now = clock.now()
    if found is not None and found.finished_at > now - EVERY:
        return 0
    with transaction() as db:
        jobs.enqueue(
            db,
            "installation.examine",
            {},
            tenant_id=OWNER,
            mode="live",
            unique_key=f"examination:{now:%Y%m%d}",
            max_tries=3,
        )
    return 1


def latest() -> Examination | None:
    """The last examination."""
    statement = select(Examination).order_by(Examination.finished_at.desc()).limit(1)
    with reading() as db:
        return db.scalars(statement).one_or_none()


def heads() -> dict[str, tuple[int, str]]:
    """The last entry (sequence, hash) of each merchant's journal that the last examination saw."""
    found = latest()
    chains = found.chains if found is not None else {}
    return {name: (seen["sequence"], seen["hash"]) for name, seen in chains.items() if isinstance(seen, dict)}


def problems_of(found: Examination | None, tenant_id: str) -> list[str] | None:
    """What an examination found wrong with a merchant's journal; None where it did not look."""
    seen = found.chains.get(tenant_id) if found is not None else None
    problems: list[str] | None = seen["problems"] if isinstance(seen, dict) else seen  # earlier: a list alone
    return problems


def examine(chains: Mapping[str, Chain]) -> Examination:
    """Look over the installation and keep what was found, with the state of each merchant's journal."""
    started, before = clock.now(), latest()
    cells, findings, keys = 0, Counter[str](), Counter[str]()
    tables = [*Base.metadata.sorted_tables, *book.metadata.sorted_tables]
    for table in tables:
        for name, text in _texts(table):
            cells += 1
            encrypted = _ENCRYPTED.match(text)
            if encrypted:
                keys[encrypted[1]] += 1
            elif len(text) >= 14 and shows_card_number(text):
                findings[f"{table.name}.{name}"] += 1
    row = Examination(
        id=new_id("exa"),
        started_at=started,
        finished_at=clock.now(),
        tables=len(tables),
        cells=cells,
        findings=dict(findings),
        keys=_with_first_seen(keys, before),
        chains={name: asdict(replace(c, problems=c.problems[:20])) for name, c in chains.items()},
    )
    with transaction() as db:
        db.add(row)
    return row


def _with_first_seen(found: Counter[str], before: Examination | None) -> dict[str, Any]:
    """Key id → cells under it and when it was first seen; the present key counts even while unused."""
    now = clock.to_rfc3339(clock.now())
    known: dict[str, Any] = before.keys if before is not None else {}
    names = {*found, secrets_at_rest.primary_key_id()}
    return {
        name: {"cells": found[name], "first_seen_at": known.get(name, {}).get("first_seen_at", now)}
        for name in sorted(names)
    }


def _texts(table: Table) -> Iterator[tuple[str, str]]:
    """Each text cell of a table with its column's name."""
    keys = list(table.primary_key.columns)
    columns = [c for c in table.columns if isinstance(c.type, String | JSON)]
    if not keys or not columns:
        return
    ordered = select(*keys, *columns).order_by(*keys).limit(CHUNK)
    statement = ordered
    while True:
        with reading() as db:
            rows = db.execute(statement).all()
        for row in rows:
            for column, value in zip(columns, tuple(row)[len(keys) :], strict=True):
                if value is not None:
                    yield column.name, value if isinstance(value, str) else json.dumps(value, default=str)
        if len(rows) < CHUNK:
            return
        statement = ordered.where(tuple_(*keys) > tuple_(*tuple(rows[-1])[: len(keys)]))
