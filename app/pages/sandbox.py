"""Pages of the simulated bank: 3-D Secure and redirect methods. Outside production only."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from app.connectors.sandbox import challenges
from app.connectors.sandbox.challenges import Challenge
from app.domain.errors import NotFound
from app.services.access import tenants
from app.web.opens import To, opens

blueprint = Blueprint("sandbox", __name__, url_prefix="/sandbox")


@blueprint.get("/acs/<challenge_id>")
@opens(To.ADDRESS)
def acs(challenge_id: str) -> AnyResponse:
    """The bank asks for a code."""
    found = _find(challenge_id)
    return _acs(found) if found.open else redirect(found.return_url, 303)


@blueprint.post("/acs/<challenge_id>")
@opens(To.ADDRESS)
def answer_acs(challenge_id: str) -> AnyResponse:
    """A code, or failing, or giving up."""
    action = request.form.get("action", "submit")
    if action == "submit":
        found = challenges.answer(challenge_id, request.form.get("code", ""))
    elif action == "cancel":
        found = challenges.cancel(challenge_id)
    else:
        found = challenges.decide(challenge_id, approve=False)
    if found is None:
        raise NotFound("There is no such bank page")
    if found.open:
        return _acs(found, [{"field": "code", "text": "This code isn't right. Try 123456."}], 422)
    return redirect(found.return_url, 303)


@blueprint.get("/bank/<challenge_id>")
@opens(To.ADDRESS)
def bank(challenge_id: str) -> AnyResponse:
    """The bank asks whether to pay."""
    found = _find(challenge_id)
    if not found.open:
        return redirect(found.return_url, 303)
    authorization = {
        "merchant_name": tenants.name_of(found.tenant_id),
        "amount": found.amount,
        "currency": found.currency,
        "method": found.method_type,
        "submit_url": request.path,
        "reference": found.reference,
    }
    return Response(render_template("sandbox/bank.html", authorization=authorization), mimetype="text/html")


@blueprint.post("/bank/<challenge_id>")
@opens(To.ADDRESS)
def answer_bank(challenge_id: str) -> AnyResponse:
    """Authorise, fail, abandon, or authorise and lose the browser."""
    action = request.form.get("action", "")
    found = _find(challenge_id)
    if action in ("authorize", "authorize_lose_browser", "fail"):
        challenges.decide(challenge_id, approve=action != "fail")
    if action in ("abandon", "authorize_lose_browser"):
        page = render_template(
            "sandbox/lost.html", approved=action == "authorize_lose_browser", back_url=found.return_url
        )
        return Response(page, mimetype="text/html")
    return redirect(found.return_url, 303)


def _acs(found: Challenge, errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    challenge: dict[str, Any] = {
        "merchant_name": tenants.name_of(found.tenant_id),
        "amount": found.amount,
        "currency": found.currency,
        "brand": None,
        "last4": found.last4,
        "submit_url": request.path,
        "walk_away_url": found.return_url,
        "attempts_left": found.tries_left,
        "three_ds_version": "2.2.0",
    }
    page = render_template("sandbox/acs.html", challenge=challenge, errors=errors or [])
    return Response(page, status, mimetype="text/html")


def _find(challenge_id: str) -> Challenge:
    found = challenges.get(challenge_id)
    if found is None:
        raise NotFound("There is no such bank page")
    return found
