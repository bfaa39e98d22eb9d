"""Routing rules, and the tester: which connector would this payment take, and why (PY-040 to PY-043)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.connectors import registry
from app.dashboard import typed
from app.dashboard.shell import actor, render, screen
from app.domain import money
from app.domain.errors import DomainError, InvalidRequest, NotFound
from app.domain.rules.cards import BRANDS
from app.models.payments.connector import RoutingRule
from app.services.payments import connectors, routing, routing_rules
from app.services.payments.routing import Explained
from app.services.payments.routing_rules import MAX_RULES, RuleDraft

blueprint = Blueprint("routing", __name__, url_prefix="/dashboard/<any(test, live):mode>/routing")

MAX_PRIORITY = 1_000_000
_PAGE = 100


@blueprint.get("")
@screen("routing:read")
def index(mode: str) -> Response:
    """The rules in their order, and the tester, whose question lives in the address."""
    errors: typed.Errors = []
    found: list[Explained] | None = None
    if request.args.get("amount"):
        try:
            found = _explain(request.args)
        except DomainError as refused:
            errors = typed.complaint(refused, "amount")
    return render(
        "dashboard/routing/index.html",
        422 if errors else 200,
        rows=sorted(_rules(), key=lambda rule: (rule.priority, rule.id)),
        names=_names(),
        found=found,
        asked=request.args,
        methods=_methods(),
        brands=sorted(BRANDS),
        errors=errors,
    )


@blueprint.get("/new")
@screen("routing:write")
def new(mode: str) -> Response:
    """The form."""
    return _form(None)


@blueprint.post("")
@screen("routing:write")
def create(mode: str) -> AnyResponse:
    """Add a rule."""
    try:
        values = _values()
        routing_rules.create(
            actor(), RuleDraft(values["match"], values["connector_id"], priority=values["priority"])
        )
    except DomainError as refused:
        return _form(None, _placed(refused), typed.status(refused))
    flash("The rule is in force", "success")
    return redirect(f"/dashboard/{mode}/routing", 303)


@blueprint.get("/<rule_id>")
@screen("routing:write")
def edit(mode: str, rule_id: str) -> Response:
    """The form of a rule."""
    return _form(_rule(rule_id))


@blueprint.post("/<rule_id>")
@screen("routing:write")
def save(mode: str, rule_id: str) -> AnyResponse:
    """Change a rule."""
    rule = _rule(rule_id)
    try:
        version = typed.number("version", 0, 2**53)
        routing_rules.change(actor(), rule_id, _values(), version=version)
    except DomainError as refused:
        return _form(rule, _placed(refused), typed.status(refused))
    flash("The rule is changed", "success")
    return redirect(f"/dashboard/{mode}/routing", 303)


@blueprint.post("/<rule_id>/delete")
@screen("routing:write")
def delete(mode: str, rule_id: str) -> AnyResponse:
    """Take a rule away."""
    routing_rules.delete(actor(), rule_id)
    flash("The rule was deleted", "success")
    return redirect(f"/dashboard/{mode}/routing", 303)


def _explain(asked: Mapping[str, str]) -> list[Explained]:
    """Raises InvalidRequest for what is no amount, currency, country or method."""
    currency = _currency(asked)
    method = asked.get("method") or "card"
    if method not in _methods():
        raise InvalidRequest("Choose a method", field="method")
    return routing.explain(
        actor(),
        amount=typed.some_of(asked["amount"], currency, "amount"),
        currency=currency,
        country=_country(asked),
        card_brand=asked.get("brand") or None,
        method_type=method,
    )


def _values() -> dict[str, Any]:
    """What the form says of a rule.

    Raises:
        InvalidRequest: with the field that says nothing of use.
    """
    form = request.form
    currency = _currency(form, optional=True)
    match: dict[str, Any] = {
        "currency": currency or None,
        "country": _country(form),
        "card_brand": form.get("brand") or None,
    }
    for bound in ("amount_min", "amount_max"):
        if form.get(bound, "").strip():
            if not currency:
                raise InvalidRequest("Amounts need a currency: enter it too", field="currency")
            match[bound] = typed.some(bound, currency)
    return {
        "match": {name: value for name, value in match.items() if value is not None},
        "connector_id": form.get("connector_id", ""),
        "priority": typed.number("priority", 0, MAX_PRIORITY),
    }


def _currency(given: Mapping[str, str], *, optional: bool = False) -> str:
    code = given.get("currency", "").strip().upper()
    if not money.is_currency(code) and not (optional and not code):
        raise InvalidRequest("Enter a currency like GBP", field="currency")
    return code


def _country(given: Mapping[str, str]) -> str | None:
    code = given.get("country", "").strip().upper()
    if code and not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise InvalidRequest("Enter a country as two letters, like GB", field="country")
    return code or None


def _placed(refused: DomainError) -> typed.Errors:
    """A refusal at the form's own field: the service names `match.currency` and the like."""
    field = (refused.field or "").removeprefix("match.")
    return [{"field": {"card_brand": "brand"}.get(field, field or "connector_id"), "text": refused.message}]


def _rules() -> list[RoutingRule]:
    """All of them: there are few (MAX_RULES), and their order is what the screen is about."""
    found: list[RoutingRule] = []
    cursor: str | None = None
    while len(found) < MAX_RULES:
        page = routing_rules.list_page(actor(), limit=_PAGE, cursor=cursor)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _rule(rule_id: str) -> RoutingRule:
    found = next((rule for rule in _rules() if rule.id == rule_id), None)
    if found is None:
        raise NotFound("Routing rule not found", code="routing_rule_not_found")
    return found


def _names() -> dict[str, str]:
    """Connector → its name."""
    return {row.id: row.name for row in connectors.list_page(actor(), limit=connectors.MAX_CONNECTORS).data}


def _methods() -> list[str]:
    return sorted({method for connector in registry.all_connectors() for method in connector.method_types})


def _form(rule: RoutingRule | None, errors: typed.Errors | None = None, status: int = 200) -> Response:
    shown: dict[str, Any] = {"priority": 100}
    if rule is not None:
        kept = dict(rule.match)
        for bound in ("amount_min", "amount_max"):
            if kept.get(bound) is not None and kept.get("currency"):
                kept[bound] = money.to_major(kept[bound], kept["currency"])
        shown = {
            **kept,
            "brand": kept.get("card_brand"),
            "connector_id": rule.connector_id,
            "priority": rule.priority,
            "version": rule.version,
        }
    return render(
        "dashboard/routing/form.html",
        status,
        rule=rule,
        names=_names(),
        brands=sorted(BRANDS),
        errors=errors or [],
        typed={**shown, **request.form.to_dict()},
    )
