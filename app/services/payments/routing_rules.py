"""Routing rules: which payments go to which connector first (PY-040 to PY-043, OP-12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.domain.rules.cards import BRANDS
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.payments.connector import RoutingRule
from app.services.operations import paging
from app.services.payments import connectors

#: All of them are read for each payment.
MAX_RULES = 200


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What a rule is made from; `match` has conditions that must all hold, amounts in minor units."""

    match: Mapping[str, Any]
    connector_id: str
    priority: int = 100


def create(actor: Actor, draft: RuleDraft) -> RoutingRule:
    """Add a rule.

    Raises:
        InvalidRequest: a condition that can never hold.
        NotFound: the connector is not this merchant's.
        Unprocessable: the merchant has as many as it may have.
    """
    match = _checked(draft.match)
    with transaction(actor) as db:
        connectors.find(db, actor, draft.connector_id, lock=True)
        if (db.scalar(select(func.count()).select_from(_mine(actor).subquery())) or 0) >= MAX_RULES:
            raise Unprocessable(f"There are {MAX_RULES} rules already", code="too_many_routing_rules")
        rule = RoutingRule(
            id=new_id("rr"),
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            match=match,
            connector_id=draft.connector_id,
            priority=draft.priority,
        )
        db.add(rule)
        db.flush()
        connectors.note_rule(db, rule, "routing_rule.created")
        return rule


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
    connector_id: str | None = None,
) -> Page[RoutingRule]:
    """Rules of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    if connector_id:
        statement = statement.where(RoutingRule.connector_id == connector_id)
    return paging.newest_first(statement, RoutingRule.id, limit=limit, cursor=cursor, page=page)


def change(
    actor: Actor, rule_id: str | None, values: Mapping[str, Any], *, version: int | None = None
) -> RoutingRule:
    """Change match (as a whole), connector or priority.

    Raises:
        InvalidRequest: no id was given, or a condition can never hold.
        NotFound: rule or connector are not this merchant's.
        VersionConflict: it changed since it was read.
    """
    with transaction(actor) as db:
        rule = _find(db, actor, rule_id)
        rule.expect_version(version)
        before = rule.facts()
        if "connector_id" in values:
            connectors.find(db, actor, values["connector_id"], lock=True)
        for name, value in values.items():
            setattr(rule, name, _checked(value) if name == "match" else value)
        db.flush()
        if rule.version != before["version"]:
            connectors.note_rule(db, rule, "routing_rule.updated", before=before)
        return rule


def delete(actor: Actor, rule_id: str | None, *, version: int | None = None) -> None:
    """Take a rule away.

    Raises:
        InvalidRequest: no id was given: a bare DELETE never wipes all rules (OP-12).
        NotFound: there is no such rule.
        VersionConflict: it changed since it was read.
    """
    with transaction(actor) as db:
        rule = _find(db, actor, rule_id)
        rule.expect_version(version)
        connectors.note_rule(db, rule, "routing_rule.deleted", before=rule.facts())
        db.delete(rule)


def _checked(match: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions that are given, in the form in which payments have them."""
    found = {name: value for name, value in match.items() if value is not None}
    if "currency" in found and not money.is_currency(found["currency"]):
        raise InvalidRequest(
            "This currency is not supported", code="unsupported_currency", field="match.currency"
        )
    if "card_brand" in found:
        found["card_brand"] = found["card_brand"].upper()
        if found["card_brand"] not in BRANDS:
            raise InvalidRequest(f"card_brand is one of {', '.join(BRANDS)}", field="match.card_brand")
    if found.get("amount_min", 0) > found.get("amount_max", money.MAX_AMOUNT):
        raise InvalidRequest("amount_min is over amount_max", field="match.amount_min")
    return found


def _find(db: Session, actor: Actor, rule_id: str | None) -> RoutingRule:
    if not rule_id:
        raise InvalidRequest("Name the rule by its id", code="id_required", field="id")
    found = db.scalars(_mine(actor).where(RoutingRule.id == rule_id).with_for_update()).one_or_none()
    if found is None:
        raise NotFound("Routing rule not found", code="routing_rule_not_found")
    return found


def _mine(actor: Actor) -> Select[RoutingRule]:
    return select(RoutingRule).where(RoutingRule.tenant_id == actor.tenant_id, RoutingRule.mode == actor.mode)
