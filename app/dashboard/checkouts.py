"""One checkout: what was bought, by whom, how far it came, its payment."""

from __future__ import annotations

from flask import Blueprint, Response

from app.dashboard.shell import actor, render, screen
from app.services.checkout import sessions, timelines, totals

blueprint = Blueprint("checkouts", __name__, url_prefix="/dashboard/<any(test, live):mode>/checkouts")


@blueprint.get("/<checkout_id>")
@screen("checkout:read")
def show(mode: str, checkout_id: str) -> Response:
    """A checkout with its lines and its history."""
    who = actor()
    session = sessions.get(who, checkout_id)
    return render(
        "dashboard/checkouts/show.html",
        session=session,
        lines=totals.lines_of(session),
        entries=[
            {
                "title": entry.type.replace("_", " ").replace(".", ": ").capitalize(),
                "at": entry.at,
                "tone": "neutral",
                "detail": entry.details.get("note") or entry.entity_id,
                "actor": " · ".join(filter(None, (entry.actor_kind, entry.cause))),
            }
            for entry in timelines.page(who, checkout_id, limit=100).data[::-1]
        ],
    )
