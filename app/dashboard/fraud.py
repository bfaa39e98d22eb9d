"""Fraud: the rules with their weights, changing them, and overriding what was decided of a payment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import typed
from app.dashboard.shell import actor, render, screen, signed_in
from app.domain.errors import DomainError
from app.domain.lifecycles import intents as lifecycle
from app.domain.rules.fraud import BY_CODE, MAX_SCORE, Action
from app.services.operations import settings
from app.services.payments import intents
from app.services.risk import fraud

blueprint = Blueprint("fraud", __name__, url_prefix="/dashboard/<any(test, live):mode>/fraud")

#: Overriding is for administrators, as in the API.
OVERRIDE = "*"
#: What is confirmed before rules change, or one payment goes past them.
STEP = "fraud-rules"


@blueprint.get("")
@screen("fraud:read")
def index(mode: str) -> AnyResponse:
    """The rules and marks; a payment's id in the address leads to its decisions."""
    wanted = request.args.get("payment", "").strip()
    if wanted:
        intents.get(actor(), wanted)
        return redirect(f"/dashboard/{mode}/fraud/payments/{wanted}", 303)
    return render("dashboard/fraud/index.html", book=fraud.rules(actor()))


@blueprint.get("/edit")
@screen("settings:write", step_up=STEP)
def edit(mode: str) -> Response:
    """The form of rules and marks."""
    return _form()


@blueprint.post("/edit")
@screen("settings:write", step_up=STEP)
def save(mode: str) -> AnyResponse:
    """Change the rules for both modes; who asks for an opinion elsewhere stays as it is."""
    try:
        kept, _ = settings.read(actor())
        chosen = {**(kept.fraud or {}), **_marks(), "rules": _rules()}
        version = typed.number("version", 0, 2**53)
        settings.change(actor(), {"fraud": chosen}, expected=version)
    except DomainError as refused:
        return _form(typed.complaint(refused), typed.status(refused))
    flash("The rules are in force from the next payment on", "success")
    return redirect(f"/dashboard/{mode}/fraud", 303)


@blueprint.get("/payments/<intent_id>")
@screen("fraud:read")
def decisions(mode: str, intent_id: str) -> Response:
    """What was decided about a payment, and why."""
    return _decisions(intent_id)


@blueprint.post("/payments/<intent_id>/<any(allow, deny):what>")
@screen(OVERRIDE, step_up=STEP)
def override(mode: str, intent_id: str, what: str) -> AnyResponse:
    """Decide otherwise about the payment's next try."""
    reason = request.form.get("reason", "").strip()[:500]
    intents.get(actor(), intent_id)
    if not reason:
        return _decisions(intent_id, [{"field": f"{what}-reason", "text": "Say why"}], 422)
    try:
        fraud.override(actor(), Action(what), reason, intent_id=intent_id)
    except DomainError as refused:
        return _decisions(intent_id, typed.complaint(refused), typed.status(refused))
    flash("The next try follows your decision", "success")
    return redirect(f"/dashboard/{mode}/fraud/payments/{intent_id}", 303)


def _decisions(intent_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    who = actor()
    intent = intents.get(who, intent_id)
    rows = fraud.of_intent(who, intent_id)
    over = lifecycle.LIFECYCLE.is_terminal(intent.status)
    return render(
        "dashboard/fraud/decisions.html",
        status,
        intent=intent,
        rows=rows,
        overridable=bool(rows) and not over and who.can(OVERRIDE),
        errors=errors or [],
        typed=request.form,
    )


def _marks() -> dict[str, Any]:
    """Raises InvalidRequest where a mark is no number of the scale."""
    form = request.form
    return {
        "challenge_from": typed.number("challenge_from", 1, MAX_SCORE + 1),
        "deny_from": typed.number("deny_from", 1, MAX_SCORE + 1),
        "on_failure": form.get("on_failure", ""),
    }


def _rules() -> dict[str, dict[str, Any]]:
    """Each rule as it was typed; raises InvalidRequest where a weight or a threshold is no number."""
    form = request.form
    made: dict[str, dict[str, Any]] = {}
    for code, rule in BY_CODE.items():
        weight = typed.number(f"{code}.weight", 0, MAX_SCORE)
        made[code] = {"enabled": form.get(f"{code}.enabled") == "1", "weight": weight}
        if rule.threshold is not None:
            place = f"{code}.threshold"
            made[code]["threshold"] = typed.number(place, 1, 1_000_000)
    return made


def _form(errors: typed.Errors | None = None, status: int = 200) -> Response:
    who = actor()
    version = settings.read(who)[1]
    return render(
        "dashboard/fraud/edit.html",
        status,
        book=fraud.rules(replace(who, tenant=signed_in().tenant)),  # what it would change
        version=version,
        errors=errors or [],
        typed=request.form,
    )
