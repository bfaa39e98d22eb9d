"""Subscriptions: list, one with its periods, ending it now or with its period, and going on after all."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import next_url, tell, words
from app.domain.errors import DomainError, InvalidRequest
from app.domain.lifecycles import subscriptions as lifecycle
from app.services.checkout import subscriptions
from app.services.checkout.subscriptions import Change
from app.services.events import timeline
from app.services.payments import methods

blueprint = Blueprint("subscriptions", __name__, url_prefix="/dashboard/<any(test, live):mode>/subscriptions")

_S = lifecycle.Status


@blueprint.get("")
@screen("subscriptions:read")
def index(mode: str) -> Response:
    """Subscriptions, newest first."""
    status = request.args.get("status", "")
    page = subscriptions.list_page(actor(), cursor=request.args.get("cursor"), status=status or None)
    return render(
        "dashboard/subscriptions/index.html",
        rows=page.data,
        chosen=status,
        statuses=[str(item) for item in _S],
        next_url=next_url(page, status=status),
    )


@blueprint.get("/<subscription_id>")
@screen("subscriptions:read")
def show(mode: str, subscription_id: str) -> Response:
    """One subscription."""
    who = actor()
    found = subscriptions.get(who, subscription_id)
    page = subscriptions.periods_of(who, found.id, cursor=request.args.get("cursor"))
    return render(
        "dashboard/subscriptions/show.html",
        subscription=found,
        method=methods.get(who, found.payment_method_id),
        periods=page.data,
        next_url=next_url(page),
        entries=histories.lines(timeline.of_entity(who, found.id)),
        ended=found.status == _S.CANCELED,
    )


@blueprint.post("/<subscription_id>/cancel")
@screen("subscriptions:write")
def cancel(mode: str, subscription_id: str) -> AnyResponse:
    """End it with its period, or now."""
    who, when = actor(), request.form.get("when", "")
    subscriptions.get(who, subscription_id)
    try:
        if when not in ("period_end", "now"):
            raise InvalidRequest("Choose when it ends", field="when")
        why = words("reason", 40) or None
        done = subscriptions.cancel(who, subscription_id, at_period_end=when == "period_end", reason=why)
        over = done.status == _S.CANCELED
        flash("The subscription is over" if over else "It ends with this period", "success")
    except DomainError as refused:
        tell(refused)
    return redirect(f"/dashboard/{mode}/subscriptions/{subscription_id}", 303)


@blueprint.post("/<subscription_id>/resume")
@screen("subscriptions:write")
def resume(mode: str, subscription_id: str) -> AnyResponse:
    """Let it go on after all."""
    try:
        subscriptions.update(actor(), subscription_id, Change(cancel_at_period_end=False))
        flash("It goes on", "success")
    except DomainError as refused:
        tell(refused)
    return redirect(f"/dashboard/{mode}/subscriptions/{subscription_id}", 303)
