"""How long the dashboard's home, its list of payments and its search take, at growing sizes of one merchant.

Run by the bench with the database in the environment: `python -m bench.home SECRET`. A year of trade is
written by the database itself: payments with their cards, charges, checkouts and journal, day after day.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from sqlalchemy import text

from app import db, settings
from app.connectors.base import CardDetails
from app.domain.actor import Actor
from app.kit import clock
from app.providers.base import CartLine, CartSnapshot
from app.services.access import keys
from app.services.checkout import customers, finding, payment, sessions
from app.services.checkout.drafts import SessionDraft
from app.services.events import failing
from app.services.operations import day_figures, metrics
from app.services.payments import dispute_lookups, listing, search
from bench.lists import median_ms

SIZES = (1_000, 1_000_000)
DAYS = 365

#: When the n-th of `:rows` was made: the last one just now.
_AT = f"now() - (:rows - n) * interval '{DAYS} days' / :rows"
_NUMBER = "lpad(n::text, 24, '0')"
#: Table → which of its rows is copied (`id` of the last one), and what differs from copy to copy.
_COPIES: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "checkout_sessions",
        "true",
        {
            "id": f"'chk_0' || {_NUMBER}",
            "public_id": "gen_random_uuid()::text",
            "hosted_id": "NULL",
            "reservation_id": "NULL",
            "payment_intent_id": f"'pi_0' || {_NUMBER}",
            "reference": "'REF-' || n",
            "order_id": "'ORD-' || n",
            "customer": "jsonb_build_object('email', 'buyer' || n || '@example.com')",
            "created_at": _AT,
        },
    ),
    (
        "payment_methods",
        "true",
        {
            "id": f"'pm_0' || {_NUMBER}",
            "token": "'tok_' || n",
            "source_token": "NULL",
            "last4": "lpad((n % 10000)::text, 4, '0')",
            "created_at": _AT,
        },
    ),
    (
        "payment_intents",
        "true",
        {
            "id": f"'pi_0' || {_NUMBER}",
            "checkout_id": f"'chk_0' || {_NUMBER}",
            "payment_method_id": f"'pm_0' || {_NUMBER}",
            "status": "CASE n % 20 WHEN 0 THEN 'failed' WHEN 1 THEN 'canceled' ELSE 'succeeded' END",
            "amount": "500 + n % 20000",
            "created_at": _AT,
        },
    ),
    (
        "attempts",
        "true",
        {
            "id": f"'ch_0' || {_NUMBER}",
            "intent_id": f"'pi_0' || {_NUMBER}",
            "checkout_id": f"'chk_0' || {_NUMBER}",
            "payment_method_id": f"'pm_0' || {_NUMBER}",
            "return_nonce": "'bench_' || n",
            "gateway_reference": "'gw_' || n",
            "created_at": _AT,
            "captured_at": _AT,
        },
    ),
    *(
        (
            "journal",
            f"type = '{type_}'",
            {
                "id": f"'evt_0{place}' || lpad(n::text, 23, '0')",
                "entity_id": f"'chk_0' || {_NUMBER}",
                "checkout_id": f"'chk_0' || {_NUMBER}",
                "payment_intent_id": f"'pi_0' || {_NUMBER}",
                "data": "'{}'::jsonb",
                "sequence": f"-(n * 3 + {place})",
                "created_at": _AT,
            },
        )
        for place, type_ in enumerate(("checkout.created", "checkout.completed", "payment.succeeded"))
    ),
)


def seed(actor: Actor) -> None:
    """One checkout that was paid: what the copies are of."""
    line = CartLine("line_1", "BENCH", "Stoneware mug", 2, 1500)
    draft = SessionDraft("checkout", cart=CartSnapshot("GBP", (line,)), hosted=True)
    session = sessions.create(actor, draft)
    card = CardDetails("4242424242424242", 12, clock.now().year + 3, "123")
    payment.pay_by_card(actor, session.id, card, payment.Order("bench"))


def grow(have: int, rows: int) -> None:
    """Copy each table's row, from `have` copies to `rows`."""
    with db.transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL session_replication_role = replica"))  # neither triggers nor keys
        for table, which, changed in _COPIES:
            columns = list(
                session.scalars(
                    text("SELECT column_name FROM information_schema.columns WHERE table_name = :name"),
                    {"name": table},
                )
            )
            values = ", ".join(changed.get(name, f's."{name}"') for name in columns)
            names = ", ".join(f'"{name}"' for name in columns)
            session.execute(
                text(
                    f"INSERT INTO {table} ({names}) SELECT {values} FROM "
                    f"(SELECT * FROM {table} WHERE {which} ORDER BY id DESC LIMIT 1) s, "
                    "generate_series(CAST(:first AS bigint), CAST(:rows AS bigint)) n"
                ),
                {"first": have + 1, "rows": rows},
            )
    with db.transaction() as session:
        for table in dict.fromkeys(name for name, _, _ in _COPIES):
            session.execute(text(f"ANALYZE {table}"))


def home(actor: Actor, days: int) -> None:
    """All that the home screen asks."""
    today = metrics.today()
    metrics.overview(actor, today - timedelta(days=days - 1), today)
    dispute_lookups.waiting(actor)
    failing.endpoints(actor, clock.now() - timedelta(days=days), clock.now())
    listing.page(actor, listing.Filters(), limit=6)


def main() -> None:
    """Print one line a size for the roll-up, and one a question."""
    settings.use(settings.load())
    db.configure(settings.current().database)
    actor = keys.authenticate(sys.argv[1])
    seed(actor)
    have = 0
    print("| dashboard                       | rows      | median ms |")
    print("| ------------------------------- | --------- | --------- |")
    for rows in SIZES:
        grow(have, rows)
        have = rows
        day_figures.forget(actor.tenant_id, str(actor.mode))
        started = time.perf_counter()
        while day_figures.keep_days():
            pass
        _show("count all days, once", rows, (time.perf_counter() - started) * 1000)
        last = f"{rows // 2:024}"
        now = clock.now()
        month = listing.Filters(
            status="failed", since=now - timedelta(days=300), until=now - timedelta(days=270)
        )
        questions = {
            "home, 30 days": lambda: home(actor, 30),
            "home, 12 months": lambda: home(actor, 365),
            "payments, first page": lambda: listing.page(actor, listing.Filters()),
            "payments, failed in one month": lambda: listing.page(actor, month),  # noqa: B023
            "payments, card": lambda: listing.page(actor, listing.Filters(method="card")),
            "customers, first page": lambda: customers.list_page(actor),
            "search by id": lambda: search.find(actor, f"pi_0{last}"),  # noqa: B023
            "search by e-mail": lambda: search.find(actor, f"buyer{rows // 2}@example.com"),  # noqa: B023
            "search by reference": lambda: search.find(actor, f"REF-{rows // 2}"),  # noqa: B023
            "search by last four digits": lambda: search.find(actor, "0042"),
            "search by amount": lambda: search.find(actor, "12.34"),
            "search everything, by a word": lambda: finding.everything(actor, "nobody has this"),
        }
        for name, ask in questions.items():
            _show(name, rows, median_ms(ask))


def _show(name: str, rows: int, took: float) -> None:
    print(f"| {name:<31} | {rows:>9,} | {took:9.2f} |", flush=True)


if __name__ == "__main__":
    main()
