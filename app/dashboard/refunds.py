"""Refunds: the list with its filters, one refund, and stopping one that has not been sent."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import days, next_url
from app.domain.errors import DomainError
from app.domain.lifecycles import refunds as lifecycle
from app.domain.permissions import REFUNDS_CREATE
from app.services.events import timeline
from app.services.payments import intents, refunds, search

blueprint = Blueprint("refunds", __name__, url_prefix="/dashboard/<any(test, live):mode>/refunds")

_STATUSES = tuple(str(status) for status in lifecycle.Status)
#: What a person may do about one that failed, in words.
NEXT_STEPS = {
    "retry": "Refund the payment again from its page",
    "refund_by_other_means": "Send the money another way, and note that on the payment",
    "contact_support": "Ask your gateway why",
}


@blueprint.get("")
@screen("refunds:read")
def index(mode: str) -> Response:
    """Refunds, newest first; the filters live in the address."""
    status, payment = request.args.get("status", ""), request.args.get("payment", "").strip()
    since, until = days()
    page = refunds.list_page(
        actor(),
        cursor=request.args.get("cursor"),
        status=status or None,
        intent_id=payment or None,
        since=since,
        until=until,
    )
    chosen = {"status": status, "payment": payment}
    chosen |= {name: request.args.get(name, "") for name in ("from", "to")}
    return render(
        "dashboard/refunds/index.html",
        rows=page.data,
        chosen=chosen,
        statuses=_STATUSES,
        next_url=next_url(page, **chosen),
        first_url=request.path if "cursor" in request.args else None,
    )


@blueprint.get("/<refund_id>")
@screen("refunds:read")
def show(mode: str, refund_id: str) -> Response:
    """One refund."""
    who = actor()
    refund = refunds.get(who, refund_id)
    intent = intents.get(who, refund.intent_id)
    return render(
        "dashboard/refunds/show.html",
        refund=refund,
        intent=intent,
        session=search.session_of(who, intent),
        may_cancel=lifecycle.LIFECYCLE.allows(refund.status, lifecycle.Trigger.CANCELED),
        steps=[NEXT_STEPS.get(step, step) for step in refund.actions],
        entries=histories.lines(timeline.of_entity(who, refund_id)),
    )


@blueprint.post("/<refund_id>/cancel")
@screen(REFUNDS_CREATE)
def cancel(mode: str, refund_id: str) -> AnyResponse:
    """Stop a refund before it is sent."""
    try:
        refunds.cancel(actor(), refund_id)
        flash("The refund was stopped; no money went back", "success")
    except DomainError as refused:
        if refused.http_status == 404:
            raise
        flash("It is too late: the refund has been sent", "danger")
    return redirect(f"/dashboard/{mode}/refunds/{refund_id}", 303)
