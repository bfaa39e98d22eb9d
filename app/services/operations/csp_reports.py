"""Violations of the Content-Security-Policy that browsers report: counted, bounded, dropped in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.kit import clock
from app.kit.ids import new_id
from app.models.operations.csp_report import CspReport

log = structlog.get_logger("till.web")

#: Kinds of violations kept a day; whoever makes reports up fills no table with them.
MAX_KINDS = 500
KEEP = timedelta(days=90)

_TABLE: Any = CspReport.__table__
_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


@dataclass(frozen=True, slots=True)
class Violation:
    """Which route's page broke which directive, and what was blocked: an origin or a keyword."""

    route: str
    directive: str
    blocked: str


def record(violations: Sequence[Violation]) -> None:
    """Count violations of today; of new kinds no more than fit."""
    now = clock.now()
    with transaction() as db:
        kinds = db.scalar(select(func.count()).where(CspReport.day == now.date())) or 0
        insert = _INSERT[db.get_bind().dialect.name]
        for item in sorted(set(violations), key=lambda item: (item.route, item.directive, item.blocked)):
            if not _known(db, item, now.date()):
                if kinds >= MAX_KINDS:
                    continue
                kinds += 1
                log.warning("csp_violation", route=item.route, name=item.directive)
            row = {
                "day": now.date(),
                "route": item.route,
                "directive": item.directive,
                "blocked": item.blocked,
                "count": violations.count(item),
                "first_at": now,
                "last_at": now,
            }
            statement = insert(_TABLE).on_conflict_do_update(
                index_elements=["day", "route", "directive", "blocked"],
                set_={"count": _TABLE.c.count + row["count"], "last_at": now},
            )
            db.execute(statement, {"id": new_id("csp"), **row})


def _known(db: Session, item: Violation, day: date) -> bool:
    same = select(CspReport.id).where(
        CspReport.day == day,
        CspReport.route == item.route,
        CspReport.directive == item.directive,
        CspReport.blocked == item.blocked,
    )
    return db.scalar(same) is not None


def latest(days: int) -> list[CspReport]:
    """What was reported in the last days, the newest first."""
    since = (clock.now() - timedelta(days=days)).date()
    statement = select(CspReport).where(CspReport.day > since).order_by(CspReport.last_at.desc())
    with reading() as db:
        return list(db.scalars(statement))


def clean() -> int:
    """Drop what is old. Returns how many."""
    old = delete(CspReport).where(CspReport.day < (clock.now() - KEEP).date())
    with transaction() as db:
        return int(db.execute(old).rowcount)  # type: ignore[attr-defined]
