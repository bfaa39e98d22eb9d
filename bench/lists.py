"""How long a page of a list takes, at growing sizes: the services' own functions over one merchant's rows.

Run by the bench with the database in the environment: `python -m bench.lists SECRET`. Rows are copies that
the database makes of one that went the ordinary way.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from app import db, settings
from app.connectors.base import CardDetails
from app.domain.actor import Actor
from app.domain.lifecycles.checkout_sessions import Trigger
from app.kit import clock
from app.kit.pagination import encode_cursor, encode_moment
from app.models.checkout.session import CheckoutSession
from app.providers.base import CartLine, CartSnapshot
from app.services.access import keys
from app.services.checkout import failures, sessions, timelines
from app.services.checkout import holds as reservation_holds
from app.services.checkout.drafts import SessionDraft
from app.services.payments import attempts, disputes, intents, listing, methods, refunds

SIZES = (1_000, 1_000_000)
PAGES = 30


@dataclass(frozen=True)
class Listed:
    """A table that grows, the prefix of its ids, and what lists it.

    `spread` is what has to differ from row to row: column → SQL over the last row `s` and the number `n`.
    `cursor` makes the cursor of the page in the middle from an id; None where there is no such page.
    """

    table: str
    prefix: str
    page: Callable[..., Any]
    spread: dict[str, str] = field(default_factory=dict)
    cursor: Callable[[Actor, str], str] | None = lambda _, middle: encode_cursor(middle)


def _moment_of(actor: Actor, checkout_id: str) -> str:
    """The cursor after a failed session."""
    failed_at = sessions.get(actor, checkout_id).failed_at
    assert failed_at is not None
    return encode_moment(failed_at, checkout_id)


def lists(checkout_id: str) -> tuple[Listed, ...]:
    """What is measured; a timeline is that of one checkout among very many."""
    return (
        Listed(
            "payment_intents",
            "pi",
            lambda actor, **place: listing.page(actor, listing.Filters(), **place),
            {"created_at": "s.created_at - n * interval '1 millisecond'"},
            lambda actor, middle: encode_moment(intents.get(actor, middle).created_at, middle),
        ),
        Listed("refunds", "rf", refunds.list_page),
        Listed(
            "disputes",
            "dp",
            lambda actor, **place: disputes.list_page(actor, disputes.Filters(), **place),
            {"received_at": "s.received_at + n * interval '1 millisecond'"},
        ),
        Listed(
            "checkout_sessions",
            "chk",
            lambda actor, **place: failures.list_page(actor, failures.Filters(), **place),
            {
                "public_id": "gen_random_uuid()::text",
                "hosted_id": "NULL",
                "failed_at": "s.failed_at + n * interval '1 millisecond'",
            },
            _moment_of,
        ),
        Listed(
            "journal",
            "evt",
            lambda actor, **place: timelines.page(actor, checkout_id, **place),
            {"checkout_id": "'chk_of_others_' || n / 10"},
            None,
        ),
    )


def seed(actor: Actor) -> str:
    """One payment with one refund and one dispute, and a checkout that failed: its id."""
    card = CardDetails("4242424242424242", 12, clock.now().year + 3, "123")
    method = methods.tokenize_card(actor, card)
    intent = intents.create(actor, intents.IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(actor, intent.id, nonce="bench")
    refunds.create(actor, intent.id, amount=100)
    charge = attempts.of_intent(actor, intent.id)[0]
    disputes.create(actor, disputes.DisputeDraft(charge.id, amount=100, reason_code="fraudulent"))
    line = CartLine("line_1", "MUG-01", "Stoneware mug", 2, 1500)
    session = sessions.create(actor, SessionDraft("checkout", cart=CartSnapshot("GBP", (line,))))
    reservation_holds.reserve(actor, session.id)
    with db.transaction() as opened:
        row = opened.get_one(CheckoutSession, session.id, with_for_update=True)
        row.advance(Trigger.FAILED, cause="bench", failure_reason="payment_declined")
    return session.id


def grow(listed: Listed, rows: int) -> None:
    """Bring a table to so many rows, all of one merchant."""
    table = listed.table
    with db.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        have = session.scalar(text(f"SELECT count(*) FROM {table}")) or 0
        columns = list(
            session.scalars(
                text("SELECT column_name FROM information_schema.columns WHERE table_name = :name"),
                {"name": table},
            )
        )
        made = {"id": f"'{listed.prefix}_0' || lpad((:have + n)::text, 24, '0')", **listed.spread}
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
    checkout_id = seed(actor)
    print("| list                | rows      | first page ms | middle page ms |")
    print("| ------------------- | --------- | ------------- | -------------- |")
    for listed in lists(checkout_id):
        for rows in SIZES:
            grow(listed, rows)
            first = median_ms(lambda page=listed.page: page(actor, limit=20))
            print(
                f"| {listed.table:<19} | {rows:>9,} | {first:13.2f} | {_middle(actor, listed, rows)} |",
                flush=True,
            )


def _middle(actor: Actor, listed: Listed, rows: int) -> str:
    if listed.cursor is None:
        return f"{'-':>14}"
    cursor = listed.cursor(actor, f"{listed.prefix}_0{rows // 2:024}")
    return f"{median_ms(lambda: listed.page(actor, limit=20, cursor=cursor)):14.2f}"


if __name__ == "__main__":
    main()
