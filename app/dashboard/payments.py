"""Payments: the list with its filters, and one payment with its timeline, refunds and actions."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.domain import money
from app.domain.decline_codes import describe
from app.domain.errors import DomainError, NotFound
from app.domain.lifecycles import intents as lifecycle
from app.domain.permissions import REFUNDS_CREATE
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payments as sales
from app.services.events import timeline
from app.services.payments import attempts, intents, methods, refunds, search

blueprint = Blueprint("payments", __name__, url_prefix="/dashboard/<any(test, live):mode>/payments")


@blueprint.get("")
@screen("intents:read")
def index(mode: str) -> Response:
    """Payments, newest first; the filters live in the address."""
    who = actor()
    query, status = request.args.get("q", "").strip(), request.args.get("status", "")
    ids = search.find(who, query) if query else None
    page = intents.list_page(who, cursor=request.args.get("cursor"), status=status or None, ids=ids)
    shown = {key: value for key, value in (("q", query), ("status", status)) if value}
    more = None
    if page.next_cursor:
        more = f"{request.path}?{urlencode({**shown, 'cursor': page.next_cursor})}"
    return render(
        "dashboard/payments/index.html",
        rows=page.data,
        query=query,
        chosen=status,
        next_url=more,
        statuses=[str(item) for item in lifecycle.Status],
        first_url=request.path,
        is_first="cursor" not in request.args,
    )


@blueprint.get("/<intent_id>")
@screen("intents:read")
def show(mode: str, intent_id: str) -> Response:
    """One payment."""
    return _detail(intent_id)


@blueprint.get("/<intent_id>/refund")
@screen(REFUNDS_CREATE, step_up="refund")
def ask_refund(mode: str, intent_id: str) -> AnyResponse:
    """Ask how much goes back (also where a step-up leads back to)."""
    return _refund_page(intent_id)


@blueprint.post("/<intent_id>/refund")
@screen(REFUNDS_CREATE, step_up="refund")
def refund(mode: str, intent_id: str) -> AnyResponse:
    """Refund all that is left, or a part."""
    who = actor()
    intent = intents.get(who, intent_id)
    try:
        amount = _amount(intent)
        made = refunds.create(who, intent_id, amount, request.form.get("reason") or None)
    except DomainError as refused:
        return _refund_page(intent_id, [{"field": "amount", "text": refused.message}], 422)
    except ValueError:
        words = "Enter an amount like 12.50"
        return _refund_page(intent_id, [{"field": "amount", "text": words}], 422)
    flash(f"{money.format_money(made.amount, made.currency)} is on its way back", "success")
    return redirect(f"/dashboard/{mode}/payments/{intent_id}", 303)


@blueprint.post("/<intent_id>/capture")
@screen("intents:write")
def capture(mode: str, intent_id: str) -> AnyResponse:
    """Take what was authorised."""
    return _act(mode, intent_id, lambda: sales.capture(actor(), intent_id), "Captured")


@blueprint.post("/<intent_id>/cancel")
@screen("intents:write")
def cancel(mode: str, intent_id: str) -> AnyResponse:
    """Cancel and release what is held."""
    return _act(mode, intent_id, lambda: sales.cancel(actor(), intent_id, "user_cancel"), "Canceled")


def _act(mode: str, intent_id: str, work: Any, words: str) -> AnyResponse:
    try:
        work()
        flash(words, "success")
    except NotFound:
        raise
    except DomainError as refused:
        flash(refused.message, "danger")
    return redirect(f"/dashboard/{mode}/payments/{intent_id}", 303)


def _amount(intent: PaymentIntent) -> int | None:
    """Minor units of a partial refund; None for all that is left.

    Raises:
        ValueError: what was typed is not an amount.
    """
    if request.form.get("how") != "part":
        return None
    text = request.form.get("amount", "").strip().replace(",", ".")
    try:
        return money.from_major(Decimal(text), intent.currency)
    except InvalidOperation as error:
        raise ValueError("not an amount") from error


def _refund_page(intent_id: str, errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    intent = intents.get(actor(), intent_id)
    return render(
        "dashboard/payments/refund.html",
        status,
        intent=intent,
        left=refunds.left_to_refund(intent),
        errors=errors or [],
        form=FlaskForm(),
        typed=request.form,
    )


def _detail(intent_id: str) -> Response:
    who = actor()
    intent = intents.get(who, intent_id)
    tries = attempts.of_intent(who, intent_id)
    method = methods.get(who, intent.payment_method_id) if intent.payment_method_id else None
    error = intent.last_error or {}
    return render(
        "dashboard/payments/show.html",
        intent=intent,
        method=method,
        tries=tries,
        refunds=refunds.of_intent(who, intent_id),
        left=refunds.left_to_refund(intent),
        session=search.session_of(who, intent),
        entries=[_entry(row) for row in reversed(timeline.of_payment(who, intent_id))],
        decline=describe(error.get("decline_code")).merchant_text if error else None,
    )


_TONES = {
    "succeeded": "success",
    "captured": "success",
    "failed": "danger",
    "declined": "danger",
    "unknown": "warning",
    "needs_review": "danger",
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
