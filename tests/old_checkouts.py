"""Checkouts of long ago, by the thousand, among which what is new has to be found by an index."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, text

from app import db
from app.db import transaction
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from tests.shops import Shop


def fill(shop: Shop, count: int) -> None:
    """So many old checkouts that are over, with their births; the planner knows of them."""
    at = clock.now() - timedelta(days=400)
    with transaction() as work:
        for model, key in ((CheckoutSession, "id"), (JournalEntry, "entity_id")):
            one: Any = work.query(model).order_by(model.id).first()
            columns = [(c.key, a.key) for a in model.__mapper__.column_attrs for c in a.columns]
            row = {column: getattr(one, attribute) for column, attribute in columns}
            made = []
            for number in range(count):
                fresh = {**row, "created_at": at + timedelta(minutes=number), "id": f"old_{number:06}"}
                fresh |= {key: f"chk_old{number:06}"}
                if model is CheckoutSession:
                    fresh |= {"public_id": f"old-{number}", "hosted_id": None, "status": "completed"}
                else:
                    fresh |= {"type": "checkout.created", "sequence": 1_000_000 + number, "hash": "0" * 64}
                made.append(fresh)
            work.execute(insert(model.__table__), made)
    if db.engine().dialect.name == "postgresql":
        with transaction() as work:
            work.execute(text("ANALYZE"))
