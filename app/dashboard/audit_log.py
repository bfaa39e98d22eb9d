"""The audit log: the journal by who, what and when; an entry with its proof; if the whole chain holds."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from flask_babel import lazy_gettext as _

from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import day
from app.domain.actor import Actor
from app.domain.permissions import AUDIT_READ
from app.services.access import keys, team
from app.services.events import audit, inspection
from app.services.events.inspection import Filters
from app.services.operations import examinations

blueprint = Blueprint("audit_log", __name__, url_prefix="/dashboard/<any(test, live):mode>/audit")

#: So many entries are checked in one request.
PART = 5000
#: What can be chosen, and the kinds of entries that it means.
KINDS: tuple[tuple[str, Any], ...] = (
    ("", _("Everything")),
    ("user.*", _("People and sign-ins")),
    ("role.*", _("Roles")),
    ("api_key.*", _("API keys")),
    ("settings.*", _("Settings")),
    ("tenant.*", _("The merchant's name and tokens")),
    ("webhook_endpoint.*", _("Webhook endpoints")),
    ("webhook_delivery.*", _("Webhooks sent again")),
    ("connector.*", _("Connectors")),
    ("payment_intent.*", _("Payments made")),
    ("payment.*", _("Payments taken or declined")),
    ("checkout.*", _("Checkouts")),
    ("refund.*", _("Refunds")),
    ("dispute.*", _("Disputes")),
    ("payout.*", _("Payouts")),
    ("payment_link.*", _("Payment links")),
)
_FIELDS = ("who", "what", "about", "since", "until", "modes")


@blueprint.get("")
@screen(AUDIT_READ)
def index(mode: str) -> Response:
    """Entries that fit the filters, newest first."""
    who = actor()
    chosen = {name: request.args.get(name, "").strip() for name in _FIELDS}
    page = inspection.search(who, _filters(chosen), cursor=request.args.get("cursor"))
    query = urlencode({name: value for name, value in chosen.items() if value})
    more = f"{request.path}?{query}&cursor={page.next_cursor}" if page.next_cursor else None
    people = _people(who)
    return render(
        "dashboard/audit/index.html",
        rows=page.data,
        next_url=more,
        chosen=chosen,
        active=any(chosen.values()),
        kinds=KINDS,
        names=people | {key.id: key.name for key in keys.list_all(who)},
        people=people,
        examined=examinations.latest(),
        problems=examinations.problems_of(examinations.latest(), who.tenant_id),
    )


@blueprint.get("/chain")
@screen(AUDIT_READ)
def chain(mode: str) -> Response:
    """Check the chain, a part in each request; the page goes on by itself, or by its link."""
    tenant_id = actor().tenant_id
    after = max(0, request.args.get("after", default=0, type=int))
    part = audit.verify_part(tenant_id, min(after, 2**62), PART)
    return render("dashboard/audit/chain.html", part=part, head=max(audit.head(tenant_id), part.reached))


@blueprint.get("/<entry_id>")
@screen(AUDIT_READ)
def show(mode: str, entry_id: str) -> Response:
    """One entry: what changed from what to what, and its proof."""
    who = actor()
    found = inspection.get(who, entry_id)
    before, after = (found.entry.data.get(name) or {} for name in ("before", "after"))
    changes = [(name, _text(before.get(name)), _text(after.get(name))) for name in sorted({*before, *after})]
    return render(
        "dashboard/audit/show.html",
        found=found,
        row=found.entry,
        changes=changes,
        names=_people(who) | {key.id: key.name for key in keys.list_all(who)},
    )


def _filters(chosen: dict[str, str]) -> Filters:
    return Filters(
        actor=chosen["who"] or None,
        action=chosen["what"] or None,
        entity_id=chosen["about"] or None,
        since=day(chosen["since"]),
        until=day(chosen["until"], after=True),
        both_modes=chosen["modes"] != "one",
    )


def _people(who: Actor) -> dict[str, str]:
    return {person.id: person.name for person in team.list_all(who)}


def _text(value: Any) -> str:
    """A value of an entry for people: text as it stands, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
