"""Search over everything: one field at the top of each screen."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import customers
from app.dashboard.shell import actor, place, render, screen
from app.models.checkout.session import CheckoutSession
from app.services.checkout import finding
from app.services.checkout.finding import Hits
from app.services.payments import search as payment_search

blueprint = Blueprint("search", __name__, url_prefix="/dashboard/<any(test, live):mode>/search")


@blueprint.get("")
@screen("intents:read")
def index(mode: str) -> AnyResponse:
    """What was found, by kind; what was named by its id is opened at once."""
    query = request.args.get("q", "").strip()[:200]
    hits = finding.everything(actor(), query)
    groups = _groups(mode, hits)
    named = [href for _, rows in groups for row, href in rows if query in (row.id, _public_id(row))]
    if len(named) == 1 and named[0]:
        return redirect(named[0], 303)
    return render(
        "dashboard/search/index.html",
        query=query,
        hits=hits,
        groups=dict(groups),
        all_payments=place(mode, "payments", q=query),
        latest=payment_search.LATEST,
    )


def _groups(mode: str, hits: Hits) -> list[tuple[str, list[tuple[Any, str | None]]]]:
    """Kind → each row with the screen that it leads to."""
    return [
        ("payments", [(line.intent, place(mode, "payments", line.intent.id)) for line in hits.payments]),
        ("refunds", [(row, _own(mode, "refunds", row)) for row in hits.refunds]),
        ("disputes", [(row, _own(mode, "disputes", row)) for row in hits.disputes]),
        ("checkouts", [(row, place(mode, "checkouts", row.id)) for row in hits.checkouts]),
        ("links", [(row, place(mode, "links", row.id)) for row in hits.links]),
        ("customers", [(row, customers.address(mode, row)) for row in hits.customers]),
    ]


def _own(mode: str, section: str, row: Any) -> str | None:
    """Its own screen where there is one, else its payment's."""
    return place(mode, section, row.id) or place(mode, "payments", row.intent_id)


def _public_id(row: Any) -> str | None:
    return row.public_id if isinstance(row, CheckoutSession) else None
