"""Failures: failed checkouts, what they failed of, and what support can do about one (CK-061 to CK-063)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import typed
from app.dashboard.shell import actor, render, screen
from app.domain.actor import Actor
from app.domain.decline_codes import describe
from app.domain.errors import DomainError, PermissionDenied
from app.domain.permissions import CHECKOUT_OVERRIDE
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.services.checkout import failures, hosted, resolutions, rollback, sessions, support_notes, timelines
from app.services.checkout.failures import Filters
from app.services.checkout.resolutions import DISCOUNT, OVERRIDE, REPLACE, Resolution
from app.services.checkout.timelines import Entry
from app.services.payments import intents, methods, transfers

blueprint = Blueprint("failures", __name__, url_prefix="/dashboard/<any(test, live):mode>/failures")

#: Why a checkout fails (contract CK-061), in the order of the filter.
REASONS = ("payment_declined", "inventory", "fraud", "validation", "rolled_back")
ROLL_BACK = "roll_back"
_DONE = {
    REPLACE: "The checkout is open again: send the customer its payment page.",
    DISCOUNT: "The discount is given, and the checkout is open again.",
    OVERRIDE: "The sale is being completed.",
    ROLL_BACK: "The sale is being undone.",
}
_TONES = {
    "succeeded": "success",
    "captured": "success",
    "completed": "success",
    "failed": "danger",
    "declined": "danger",
    "unknown": "warning",
    "canceled": "warning",
}


@blueprint.get("")
@screen("checkout:read")
def index(mode: str) -> Response:
    """Failed checkouts, the latest first; the filters live in the address."""
    reason, args = typed.chosen(REASONS, "reason"), request.args
    since, until = args.get("from", ""), args.get("to", "")
    which = Filters(reason, typed.day(since), typed.day(until, after=True))
    page = failures.list_page(actor(), which, cursor=args.get("cursor"))
    shown: dict[str, str | None] = {"reason": reason, "from": since, "to": until}
    return render(
        "dashboard/failures/index.html",
        rows=page.data,
        reasons=REASONS,
        shown=shown,
        filtered=any(shown.values()),
        is_first="cursor" not in args,
        next_url=typed.next_url(page, **shown),
    )


@blueprint.get("/<checkout_id>")
@screen("checkout:read")
def show(mode: str, checkout_id: str) -> Response:
    """One checkout: what happened to it, and what can be done."""
    return _detail(checkout_id)


@blueprint.get("/<checkout_id>/<any(replace_payment_method, apply_discount, manual_override):what>")
@screen("checkout:write")
def ask(mode: str, checkout_id: str, what: str) -> Response:
    """What an action will do, and what it has to be told."""
    return _ask(checkout_id, what)


@blueprint.post("/<checkout_id>/<any(replace_payment_method, apply_discount, manual_override):what>")
@screen("checkout:write")
def act(mode: str, checkout_id: str, what: str) -> AnyResponse:
    """Do it; a refusal is shown where it was asked for."""
    _may(what)
    session = sessions.get(actor(), checkout_id)
    try:
        resolutions.resolve(actor(), session.id, _wanted(what, session.currency))
    except PermissionDenied:
        raise
    except DomainError as refused:
        return _ask(checkout_id, what, typed.complaint(refused), typed.status(refused), refused.code)
    flash(_DONE[what], "success")
    return redirect(f"/dashboard/{mode}/failures/{session.id}", 303)


@blueprint.get("/<checkout_id>/roll_back")
@screen("checkout:write", step_up="refund")
def ask_roll_back(mode: str, checkout_id: str) -> Response:
    """What rolling back will do (also where a step-up leads back to)."""
    return _ask(checkout_id, ROLL_BACK)


@blueprint.post("/<checkout_id>/roll_back")
@screen("checkout:write", step_up="refund")
def roll_back(mode: str, checkout_id: str) -> AnyResponse:
    """Undo a sale, or what a broken one has kept: money may go back."""
    session = sessions.get(actor(), checkout_id)
    try:
        rollback.roll_back(actor(), session.id)
    except PermissionDenied:
        raise
    except DomainError as refused:
        return _ask(checkout_id, ROLL_BACK, typed.complaint(refused), typed.status(refused), refused.code)
    flash(_DONE[ROLL_BACK], "success")
    return redirect(f"/dashboard/{mode}/failures/{session.id}", 303)


@blueprint.post("/<checkout_id>/notes")
@screen("checkout:write")
def note(mode: str, checkout_id: str) -> AnyResponse:
    """Attach a note."""
    try:
        support_notes.add(actor(), checkout_id, request.form.get("note", "")[:2000])
    except DomainError as refused:
        if refused.http_status == 404:
            raise
        return _detail(checkout_id, typed.complaint(refused, "note"), typed.status(refused))
    flash("Your note is kept", "success")
    return redirect(f"/dashboard/{mode}/failures/{checkout_id}", 303)


def _wanted(what: str, currency: str) -> Resolution:
    """Raises InvalidRequest where what was typed is no amount or percentage."""
    form = request.form
    words = form.get("note", "").strip()[:2000] or None
    if what == DISCOUNT and form.get("kind") == "percent":
        return Resolution(what, words, percent=typed.number("percent", 1, 100))
    if what == DISCOUNT:
        return Resolution(what, words, amount=typed.some("amount", currency))
    method = form.get("payment_method_id", "").strip() or None
    return Resolution(what, words, payment_method_id=method if what == REPLACE else None)


def _may(what: str) -> None:
    """Raises PermissionDenied: saying by hand that a sale is good wants a permission of its own."""
    if what == OVERRIDE and not actor().can(CHECKOUT_OVERRIDE):
        raise PermissionDenied("Your role doesn't allow this")


def _open_to(who: Actor, session: CheckoutSession, paid: PaymentIntent | None) -> tuple[str, ...]:
    """What this person may be offered; the service decides whether it goes through."""
    awaited = session.status == "payment_processing" and _by_transfer(who, paid)
    if not who.can("checkout:write") or not (session.status == "failed" or awaited):
        return ()
    offered = [OVERRIDE] if awaited else [REPLACE, DISCOUNT, OVERRIDE]
    if not awaited and session.finalization_id and session.failure_reason != "rolled_back":
        offered.append(ROLL_BACK)
    return tuple(what for what in offered if what != OVERRIDE or who.can(CHECKOUT_OVERRIDE))


def _by_transfer(who: Actor, paid: PaymentIntent | None) -> bool:
    method_id = paid.payment_method_id if paid else None
    return bool(method_id) and methods.get(who, method_id or "").type == transfers.METHOD


def _ask(
    checkout_id: str, what: str, errors: typed.Errors | None = None, status: int = 200, code: str = ""
) -> Response:
    _may(what)
    session = sessions.get(actor(), checkout_id)
    return render(
        f"dashboard/failures/{what}.html",
        status,
        session=session,
        errors=errors or [],
        code=code,
        typed=request.form,
        awaited=session.status == "payment_processing",
    )


def _detail(checkout_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    who = actor()
    session = sessions.get(who, checkout_id)
    page = timelines.page(who, checkout_id, limit=100, cursor=request.args.get("cursor"))
    paid = intents.get(who, session.payment_intent_id) if session.payment_intent_id else None
    is_open = session.status in ("created", "collecting", "reserved")
    return render(
        "dashboard/failures/show.html",
        status,
        session=session,
        intent=paid,
        decline=_decline(paid.last_error) if paid else None,
        actions=_open_to(who, session, paid),
        entries=[_entry(entry) for entry in page.data],
        next_url=typed.next_url(page),
        pay_url=hosted.url_of(session) if session.hosted_id and is_open else None,
        errors=errors or [],
        typed=request.form,
    )


def _decline(error: dict[str, Any] | None) -> str | None:
    return describe(error.get("decline_code")).merchant_text if error else None


def _entry(entry: Entry) -> dict[str, Any]:
    """An entry as a line of the timeline."""
    details = entry.details
    words = details.get("note") or details.get("failure_reason") or details.get("decline_code")
    title = (entry.to_status or entry.type.rpartition(".")[2]).replace("_", " ")
    by = " · ".join(str(part) for part in (entry.actor_kind, entry.cause) if part)
    return {
        "title": f"{entry.entity.replace('_', ' ').capitalize()}: {title}",
        "at": entry.at,
        "tone": _TONES.get(entry.to_status or "", "neutral"),
        "detail": str(words).replace("_", " ") if words and entry.entity != "support_note" else words,
        "actor": details.get("author") or by,
    }
