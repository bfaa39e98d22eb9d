"""PY-040 to PY-043, OP-12: routing rules."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.money import MAX_AMOUNT
from app.models.payments.connector import RoutingRule
from app.services.payments import routing_rules
from app.services.payments.routing_rules import RuleDraft
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, Integer, Listing, NumberedQuery, Query, View, pages_of
from app.web.versions import etag, expected_version

Bound = Annotated[Integer, Field(ge=0, le=MAX_AMOUNT)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
#: The lower number is looked at first.
Priority = Annotated[Integer, Field(ge=0, le=1_000_000)]


class RoutingMatch(Body):
    """Conditions that must all hold; none at all matches every payment. Amounts are inclusive bounds."""

    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    country: str | None = Field(None, pattern="^[A-Z]{2}$")
    card_brand: str | None = Field(None, min_length=1, max_length=24)
    amount_min: Bound | None = None
    amount_max: Bound | None = None


class RoutingRuleCreate(Body):
    """A rule; of several that match, the one with the lowest `priority` wins, then the narrower one."""

    match: RoutingMatch
    connector_id: Id
    priority: Priority = 100


class RoutingRulePatch(Body):
    """What changes; `match` as a whole. At the collection's path the rule is named by `id`."""

    id: Id | None = None
    match: RoutingMatch | None = None
    connector_id: Id | None = None
    priority: Priority | None = None
    version: Integer | None = None

    def values(self) -> dict[str, Any]:
        """What the service sets."""
        given = self.model_dump(include={"match", "connector_id", "priority"})
        return {name: value for name, value in given.items() if value is not None}


class RoutingRuleView(View):
    """A routing rule."""

    id: str
    match: dict[str, Any]
    connector_id: str
    priority: int
    version: int
    created_at: Instant
    updated_at: Instant


class RoutingRuleList(NumberedQuery):
    """Which rules."""

    connector_id: str | None = None


class RoutingRuleNamed(Query):
    """Which rule to delete."""

    id: str | None = None


def _answer(row: RoutingRule) -> Answer:
    return Answer(RoutingRuleView.model_validate(row), etag(row.version))


@surface.post(
    "/routing-rules",
    "PY-040",
    body=RoutingRuleCreate,
    returns=RoutingRuleView,
    status=201,
    permission="routing:write",
)
def create(actor: Actor, body: RoutingRuleCreate) -> Answer:
    """Create a routing rule."""
    return _answer(routing_rules.create(actor, RuleDraft(**body.model_dump())))


@surface.get(
    "/routing-rules",
    "PY-041",
    query=RoutingRuleList,
    returns=pages_of(RoutingRuleView),
    permission="routing:read",
)
def list_all(actor: Actor, query: RoutingRuleList) -> Listing[RoutingRuleView]:
    """List routing rules, newest first."""
    page = routing_rules.list_page(actor, **query.model_dump())
    return Listing[RoutingRuleView].of(page, RoutingRuleView.model_validate)


@surface.patch(
    "/routing-rules", "PY-042", body=RoutingRulePatch, returns=RoutingRuleView, permission="routing:write"
)
def change_named(actor: Actor, body: RoutingRulePatch) -> Answer:
    """Change the routing rule that the body names by `id`."""
    return _change(actor, body.id, body)


@surface.delete("/routing-rules", "PY-043", query=RoutingRuleNamed, status=204, permission="routing:write")
def delete_named(actor: Actor, query: RoutingRuleNamed) -> None:
    """Delete the routing rule that the query names by `id`; without it nothing is deleted."""
    routing_rules.delete(actor, query.id, version=expected_version(None))


@surface.patch(
    "/routing-rules/{routing_rule_id}",
    "OP-12-change",
    body=RoutingRulePatch,
    returns=RoutingRuleView,
    permission="routing:write",
)
def change(actor: Actor, routing_rule_id: str, body: RoutingRulePatch) -> Answer:
    """Change a routing rule."""
    if body.id not in (None, routing_rule_id):
        raise InvalidRequest("Path and body name two rules", field="id")
    return _change(actor, routing_rule_id, body)


@surface.delete("/routing-rules/{routing_rule_id}", "OP-12-delete", status=204, permission="routing:write")
def delete(actor: Actor, routing_rule_id: str) -> None:
    """Delete a routing rule."""
    routing_rules.delete(actor, routing_rule_id, version=expected_version(None))


def _change(actor: Actor, rule_id: str | None, body: RoutingRulePatch) -> Answer:
    version = expected_version(body.version)
    return _answer(routing_rules.change(actor, rule_id, body.values(), version=version))
