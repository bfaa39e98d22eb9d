"""Payments: the list with its filters, all of it as CSV, and one payment with all that belongs to it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from app.dashboard import payment_filters
from app.dashboard.shell import actor, place, render, screen
from app.domain import money
from app.domain.decline_codes import describe
from app.kit import clock
from app.models.checkout.order import Order
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.services.checkout import related, support_notes
from app.services.events import timeline
from app.services.ledger import movements
from app.services.operations.exporting.files import cell
from app.services.payments import attempts, dispute_lookups, intents, listing, methods, refunds, search
from app.services.payments.listing import Line

blueprint = Blueprint("payments", __name__, url_prefix="/dashboard/<any(test, live):mode>/payments")

#: Rows of CSV that are sent at once.
_ROWS = 200

_COLUMNS = (
    "id",
    "created_at",
    "status",
    "amount",
    "currency",
    "amount_captured",
    "amount_refunded",
    "description",
    "method",
    "brand",
    "last4",
    "customer_id",
    "email",
    "checkout_id",
    "order_id",
    "reference",
    "decline_code",
)


@blueprint.get("")
@screen("intents:read")
def index(mode: str) -> Response:
    """Payments, newest first."""
    who = actor()
    chosen = payment_filters.read(who, request.args)
    page = listing.page(who, chosen.filters, cursor=request.args.get("cursor"))
    return render(
        "dashboard/payments/index.html",
        rows=page.data,
        chosen=chosen,
        statuses=payment_filters.STATUSES,
        methods=payment_filters.methods_of(who),
        next_url=chosen.address(request.path, cursor=page.next_cursor) if page.next_cursor else None,
        first_url=chosen.address(request.path) if "cursor" in request.args else None,
        csv_url=chosen.address(f"{request.path}/export.csv"),
        most_hits=search.MAX_HITS,
    )


@blueprint.get("/export.csv")
@screen("intents:read")
def export(mode: str) -> Response:
    """The whole filtered list as CSV, sent while it is read; a spreadsheet runs none of its cells."""
    who = actor()
    chosen = payment_filters.read(who, request.args)
    name = f"payments-{mode}-{clock.now():%Y-%m-%d}.csv"
    return Response(
        _csv(listing.stream(who, chosen.filters)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@blueprint.get("/<intent_id>")
@screen("intents:read")
def show(mode: str, intent_id: str) -> Response:
    """One payment."""
    who = actor()
    intent = intents.get(who, intent_id)
    error = intent.last_error or {}
    session = search.session_of(who, intent)
    entries = timeline.of_payment(who, intent_id)[::-1]
    return render(
        "dashboard/payments/show.html",
        intent=intent,
        method=methods.get(who, intent.payment_method_id) if intent.payment_method_id else None,
        tries=attempts.of_intent(who, intent_id),
        refunds=refunds.of_intent(who, intent_id),
        disputes=[
            (row, place(mode, "disputes", row.id)) for row in dispute_lookups.of_intent(who, intent_id)
        ],
        left=refunds.left_to_refund(intent),
        session=session,
        paid_for=_paid_for(mode, intent),
        movements=movements.of_payment(who, intent_id),
        notes=support_notes.of_payment(who, intent),
        entries=[_entry(row) for row in entries],
        events=[(row, json.dumps(_raw(row), indent=2, sort_keys=True)) for row in entries],
        decline=describe(error.get("decline_code")).merchant_text if error else None,
    )


def _csv(lines: Iterator[Line]) -> Iterator[str]:
    """CSV in pieces of some rows."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for number, line in enumerate(lines, start=1):
        writer.writerow([cell(value) for value in _values(line)])
        if number % _ROWS == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _values(line: Line) -> tuple[Any, ...]:
    intent, method, session = line
    amounts = (intent.amount, intent.amount_captured, intent.amount_refunded)
    first, captured, refunded = (money.to_major(amount, intent.currency) for amount in amounts)
    return (
        intent.id,
        intent.created_at,
        intent.status,
        first,
        intent.currency,
        captured,
        refunded,
        intent.description,
        method.type if method else None,
        method.brand if method else None,
        method.last4 if method else None,
        intent.customer_id,
        line.email,
        intent.checkout_id,
        session.order_id if session else None,
        session.reference if session else None,
        (intent.last_error or {}).get("decline_code"),
    )


def _paid_for(mode: str, intent: PaymentIntent) -> tuple[str, str] | None:
    """The order or the subscription that a payment without a checkout pays for: words and address."""
    found = related.paid_for(actor(), intent)
    if isinstance(found, Order):
        return f"Order #{found.number}", f"/dashboard/{mode}/orders/{found.number}"
    if found is not None:
        return found.title, f"/dashboard/{mode}/subscriptions/{found.id}"
    return None


_TONES = {
    "succeeded": "success",
    "captured": "success",
    "completed": "success",
    "failed": "danger",
    "declined": "danger",
    "unknown": "warning",
    "needs_review": "danger",
    "needs_response": "warning",
}


def _entry(row: JournalEntry) -> dict[str, Any]:
    """A journal row as a line of the timeline."""
    entity = row.entity.replace("_", " ").capitalize()
    words = (row.to_status or row.type.rpartition(".")[2]).replace("_", " ")
    return {
        "title": f"{entity}: {words}",
        "at": row.created_at,
        "tone": _TONES.get(row.to_status or "", "neutral"),
        "detail": row.type,
        "actor": f"{row.actor_kind} · {row.cause}",
    }


def _raw(row: JournalEntry) -> dict[str, Any]:
    """A journal row as it stands."""
    return {
        "id": row.id,
        "type": row.type,
        "entity": row.entity,
        "entity_id": row.entity_id,
        "from": row.from_status,
        "to": row.to_status,
        "trigger": row.trigger,
        "cause": row.cause,
        "actor": {"kind": row.actor_kind, "id": row.actor_id, "on_behalf_of": row.on_behalf_of},
        "correlation_id": row.correlation_id,
        "created_at": row.created_at.isoformat(),
        "data": row.data,
    }
