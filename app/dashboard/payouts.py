"""Balances and payouts: what gateways owe and hold, and sending it to the bank (PY-048, PY-049)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app import settings
from app.dashboard import typed
from app.dashboard.settlements import names_of_gateways
from app.dashboard.shell import actor, render, screen
from app.domain import money
from app.domain.errors import DomainError, InvalidRequest
from app.kit import clock, signing
from app.kit.ids import new_id
from app.services.ledger import balances
from app.services.treasury import gateways, payouts

blueprint = Blueprint("payouts", __name__, url_prefix="/dashboard/<any(test, live):mode>/payouts")

#: Beginning of an account → the column of the balances.
COLUMNS = {"receivable:": "owed", "balance:": "available", "payouts:": "underway", "disputes:": "disputed"}
_DESTINATION = re.compile("[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
#: For how long a page that asks whether to pay out may be answered, in seconds; its kind of token.
ASKED_SECONDS, _ASKED = 3600, "payout"


@blueprint.get("")
@screen("payouts:read")
def index(mode: str) -> Response:
    """Balances, and payouts from the newest on."""
    page = payouts.list_page(actor(), cursor=request.args.get("cursor"))
    return render(
        "dashboard/payouts/index.html",
        rows=page.data,
        balances=_balances(),
        names=names_of_gateways(),
        next_url=typed.next_url(page),
    )


@blueprint.get("/new")
@screen("payouts:write", step_up="payouts")
def new(mode: str) -> AnyResponse:
    """The form (also where a step-up leads back to)."""
    return _form()


@blueprint.post("/new")
@screen("payouts:write", step_up="payouts")
def check(mode: str) -> AnyResponse:
    """Show once more what will be paid to where; nothing is sent yet."""
    try:
        wanted = _wanted()
    except DomainError as refused:
        return _form(typed.complaint(refused), typed.status(refused))
    return render("dashboard/payouts/confirm.html", wanted=wanted, once=_once(), names=names_of_gateways())


@blueprint.post("")
@screen("payouts:write", step_up="payouts")
def create(mode: str) -> AnyResponse:
    """Pay out, once for each time that it was asked."""
    try:
        payout_id = _asked()
        wanted = _wanted()
        made = payouts.create_once(
            actor(),
            payout_id,
            wanted["amount"],
            wanted["currency"],
            wanted["destination"],
            connector_id=wanted["connector_id"],
        )
    except DomainError as refused:
        return _form(typed.complaint(refused, "amount"), typed.status(refused))
    flash(f"{money.format_money(made.amount, made.currency)} is on its way to your bank", "success")
    return redirect(f"/dashboard/{mode}/payouts/{made.id}", 303)


@blueprint.get("/<payout_id>")
@screen("payouts:read")
def show(mode: str, payout_id: str) -> Response:
    """One payout."""
    row = payouts.get(actor(), payout_id)
    return render("dashboard/payouts/show.html", row=row, names=names_of_gateways())


def _balances() -> list[dict[str, Any]]:
    """What stands at each gateway in each currency, by the ledger."""
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for (account, currency), amount in balances.before(actor(), midnight).items():
        kind, separator, gateway = account.partition(":")
        column = COLUMNS.get(kind + separator)
        if column is not None and amount:
            row = found.setdefault((gateway, currency), {"gateway": gateway, "currency": currency})
            row[column] = amount
    return [found[key] for key in sorted(found)]


def _wanted() -> dict[str, Any]:
    """What the form asks for.

    Raises:
        InvalidRequest: with the field that says nothing of use.
    """
    form = request.form
    currency, destination = form.get("currency", "").strip().upper(), form.get("destination", "").strip()
    if not money.is_currency(currency):
        raise InvalidRequest("Enter a currency like GBP", field="currency")
    if not _DESTINATION.fullmatch(destination):
        words = "Enter the gateway's name of your bank account, without spaces"
        raise InvalidRequest(words, field="destination")
    return {
        "amount": typed.some("amount", currency),
        "currency": currency,
        "destination": destination,
        "connector_id": form.get("connector_id") or None,
    }


def _once() -> str:
    """The id of the payout that is asked about, signed, for this merchant and mode."""
    who, ends = actor(), int(clock.now().timestamp()) + ASKED_SECONDS
    claims = {"p": new_id("po"), "t": who.tenant_id, "m": str(who.mode), "exp": ends}
    return signing.sign_token(_ASKED, claims, settings.current().signing_key)


def _asked() -> str:
    """Raises InvalidRequest where nothing was asked, or too long ago."""
    token, who = request.form.get("once", ""), actor()
    claims = signing.read_token(_ASKED, token, settings.current().signing_key, clock.now())
    if claims is None or (claims["t"], claims["m"]) != (who.tenant_id, str(who.mode)):
        raise InvalidRequest("This page is too old: check the payout once more", field="amount")
    return str(claims["p"])


def _form(errors: typed.Errors | None = None, status: int = 200) -> Response:
    who = actor()
    return render(
        "dashboard/payouts/new.html",
        status,
        sources=gateways.paying(who.tenant_id, str(who.mode)),
        balances=[row for row in _balances() if row.get("available")],
        names=names_of_gateways(),
        errors=errors or [],
        typed=request.form,
    )
