"""What can be done with a payment: refund, capture, cancel (each asked first), and notes about it."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import Errors, complaint, number, some
from app.domain import money
from app.domain.errors import DomainError
from app.domain.permissions import REFUNDS_CREATE
from app.kit.ids import new_id
from app.models.payments.intent import PaymentIntent
from app.services.checkout import payments as sales
from app.services.checkout import support_notes
from app.services.payments import as_seen, intents, refunds

blueprint = Blueprint(
    "payment_actions", __name__, url_prefix="/dashboard/<any(test, live):mode>/payments/<intent_id>"
)

WRITE = "intents:write"
#: Reasons of a refund: as they are kept → in words.
REASONS = {
    "customer_request": "The customer asked for it",
    "product_return": "Goods came back",
    "fraud": "It looks like fraud",
    "other": "Something else",
}


@blueprint.get("/refund")
@screen(REFUNDS_CREATE, step_up="refund")
def ask_refund(mode: str, intent_id: str) -> AnyResponse:
    """Ask how much goes back (also where a step-up leads back to)."""
    return _refund_page(intent_id)


@blueprint.post("/refund")
@screen(REFUNDS_CREATE, step_up="refund")
def refund(mode: str, intent_id: str) -> AnyResponse:
    """Refund all that is left, or a part."""
    who = actor()
    intent = intents.get(who, intent_id)
    reason = request.form.get("words", "").strip() or request.form.get("reason") or None
    try:
        left = number("left", 0, money.MAX_AMOUNT)
        made = as_seen.refund(who, intent_id, _amount(intent), reason, left=left)
    except DomainError as refused:
        return _refund_page(intent_id, complaint(refused, "amount"), 422)
    flash(f"{money.format_money(made.amount, made.currency)} is on its way back", "success")
    return _back(mode, intent_id)


@blueprint.get("/capture")
@screen(WRITE)
def ask_capture(mode: str, intent_id: str) -> Response:
    """Ask how much is taken of what is held."""
    return _capture_page(intent_id)


@blueprint.post("/capture")
@screen(WRITE)
def capture(mode: str, intent_id: str) -> AnyResponse:
    """Take what was authorised, or a part of it; the same page sent twice asks for it once."""
    who = actor()
    intent = intents.get(who, intent_id)
    try:
        amount = _amount(intent)
        done = sales.capture(who, intent_id, amount, nonce=f"dash_{request.form.get('nonce', '')[:60]}")
    except DomainError as refused:
        return _capture_page(intent_id, complaint(refused, "amount"), 422)
    if done.amount_captured:
        flash(f"{money.format_money(done.amount_captured, done.currency)} was captured", "success")
    else:
        flash("The gateway has not said yet whether it captured the money", "warning")
    return _back(mode, intent_id)


@blueprint.get("/cancel")
@screen(WRITE)
def ask_cancel(mode: str, intent_id: str) -> Response:
    """Say what canceling does."""
    return _cancel_page(intent_id)


@blueprint.post("/cancel")
@screen(WRITE)
def cancel(mode: str, intent_id: str) -> AnyResponse:
    """Cancel and release what is held."""
    who, reason = actor(), request.form.get("reason", "")
    intents.get(who, intent_id)
    try:
        done = sales.cancel(who, intent_id, reason if reason in ("user_cancel", "fraud") else "user_cancel")
    except DomainError as refused:
        return _cancel_page(intent_id, complaint(refused), 422)
    if done.status == "canceled":
        flash("The payment was canceled; nothing is held any more", "success")
    else:
        flash("The payment will be canceled as soon as its gateway answers", "success")
    return _back(mode, intent_id)


@blueprint.post("/notes")
@screen(WRITE)
def add_note(mode: str, intent_id: str) -> AnyResponse:
    """Write something down about a payment."""
    who = actor()
    intents.get(who, intent_id)
    try:
        support_notes.add_to_payment(who, intent_id, request.form.get("note", "")[:2000])
        flash("The note was added", "success")
    except DomainError as refused:
        flash("Write something first" if refused.code == "invalid_field" else refused.message, "danger")
    return redirect(f"/dashboard/{mode}/payments/{intent_id}#notes", 303)


def _back(mode: str, intent_id: str) -> AnyResponse:
    return redirect(f"/dashboard/{mode}/payments/{intent_id}", 303)


def _amount(intent: PaymentIntent) -> int | None:
    """Minor units of a part; None for all. Raises InvalidRequest where what was typed is no amount."""
    return some("amount", intent.currency) if request.form.get("how") == "part" else None


def _refund_page(intent_id: str, errors: Errors | None = None, status: int = 200) -> Response:
    intent = intents.get(actor(), intent_id)
    return render(
        "dashboard/payments/refund.html",
        status,
        intent=intent,
        left=refunds.left_to_refund(intent),
        reasons=REASONS,
        errors=errors or [],
        form=FlaskForm(),
        typed=request.form,
    )


def _capture_page(intent_id: str, errors: Errors | None = None, status: int = 200) -> Response:
    return render(
        "dashboard/payments/capture.html",
        status,
        intent=intents.get(actor(), intent_id),
        errors=errors or [],
        form=FlaskForm(),
        typed=request.form,
        nonce=new_id("n"),
    )


def _cancel_page(intent_id: str, errors: Errors | None = None, status: int = 200) -> Response:
    return render(
        "dashboard/payments/cancel.html",
        status,
        intent=intents.get(actor(), intent_id),
        errors=errors or [],
        form=FlaskForm(),
    )
