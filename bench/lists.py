"""How long a page of a list takes, at growing sizes: the services' own functions over one merchant's rows.

Run by the bench with the database in the environment: `python -m bench.lists SECRET`. Rows are copies that
the database makes of one that went the ordinary way.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from app import db, settings
from app.connectors.base import CardDetails
from app.domain.actor import Actor
from app.kit import clock
from app.kit.pagination import encode_cursor
from app.services.access import keys
from app.services.payments import attempts, disputes, intents, methods, refunds
from app.services.payments.disputes import DisputeDraft, Filters

SIZES = (1_000, 1_000_000)
PAGES = 30
#: Table, prefix of its ids, and what lists it.
LISTS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("payment_intents", "pi", intents.list_page),
    ("refunds", "rf", refunds.list_page),
    ("disputes", "dp", lambda actor, **place: disputes.list_page(actor, Filters(), **place)),
)
#: What a list is sorted by has to differ from row to row.
SPREAD = {"received_at": "s.received_at + n * interval '1 millisecond'"}


def seed(actor: Actor) -> None:
    """One payment with one refund and one dispute."""
    card = CardDetails("4242424242424242", 12, clock.now().year + 3, "123")
    method = methods.tokenize_card(actor, card)
    intent = intents.create(actor, intents.IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(actor, intent.id, nonce="bench")
    refunds.create(actor, intent.id, amount=100)
    charge = attempts.of_intent(actor, intent.id)[0]
    disputes.create(actor, DisputeDraft(charge_id=charge.id, amount=100, reason_code="fraudulent"))


def grow(table: str, prefix: str, rows: int) -> None:
    """Bring a table to so many rows, all of one merchant."""
    with db.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        have = session.scalar(text(f"SELECT count(*) FROM {table}")) or 0
        columns = list(
            session.scalars(
                text("SELECT column_name FROM information_schema.columns WHERE table_name = :name"),
                {"name": table},
            )
        )
        made = {"id": f"'{prefix}_0' || lpad((:have + n)::text, 24, '0')", **SPREAD}
        picked = ", ".join(made.get(name, f's."{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        session.execute(
            text(
                f"INSERT INTO {table} ({names}) SELECT {picked} FROM (SELECT * FROM {table} ORDER BY id DESC"
                " LIMIT 1) s, generate_series(1, :missing) n"
            ),
            {"have": have, "missing": max(rows - have, 0)},
        )
        session.execute(text(f"ANALYZE {table}"))


def median_ms(work: Callable[[], Any]) -> float:
    """The median of some runs, after one that does not count."""
    work()
    seen = []
    for _ in range(PAGES):
        started = time.perf_counter()
        work()
        seen.append((time.perf_counter() - started) * 1000)
    return statistics.median(seen)


def main() -> None:
    """Print one line a list: the first page and one in the middle, at each size."""
    settings.use(settings.load())
    db.configure(settings.current().database)
    actor = keys.authenticate(sys.argv[1])
    seed(actor)
    print("| list                | rows      | first page ms | middle page ms |")
    print("| ------------------- | --------- | ------------- | -------------- |")
    for table, prefix, page in LISTS:
        for rows in SIZES:
            grow(table, prefix, rows)
            cursor = encode_cursor(f"{prefix}_0{rows // 2:024}")
            first = median_ms(lambda page=page: page(actor, limit=20))
            middle = median_ms(lambda page=page, cursor=cursor: page(actor, limit=20, cursor=cursor))
            print(f"| {table:<19} | {rows:>9,} | {first:13.2f} | {middle:14.2f} |", flush=True)


if __name__ == "__main__":
    main()
