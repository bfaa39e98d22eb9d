"""Settlements: what gateways have settled, line by line, and reading them now (PY-044 to PY-047)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import typed
from app.dashboard.shell import actor, render, screen
from app.domain.errors import NotFound
from app.domain.lifecycles.settlements import Status
from app.services.operations import jobs
from app.services.treasury import gateways, settlements
from app.services.treasury.settlements import Filters
from app.web.job_views import word_of

blueprint = Blueprint("settlements", __name__, url_prefix="/dashboard/<any(test, live):mode>/settlements")

STATUSES = tuple(str(status) for status in Status)
SYNC = "settlements.sync"


@blueprint.get("")
@screen("settlements:read")
def index(mode: str) -> Response:
    """Statements, the latest first; with a job in the address also how far the reading is."""
    args, status = request.args, typed.chosen(STATUSES, "status")
    since, until = args.get("from", ""), args.get("to", "")
    which = Filters(status, None, typed.day(since), typed.day(until, after=True))
    page = settlements.list_page(actor(), which, cursor=args.get("cursor"))
    shown: dict[str, str | None] = {"status": status, "from": since, "to": until}
    return render(
        "dashboard/settlements/index.html",
        rows=page.data,
        statuses=STATUSES,
        shown=shown,
        filtered=any(shown.values()),
        next_url=typed.next_url(page, **shown),
        reading=_reading(args.get("job", "")),
        names=names_of_gateways(),
    )


@blueprint.post("/sync")
@screen("settlements:write")
def sync(mode: str) -> AnyResponse:
    """Have all statements read now."""
    job_id = settlements.request_sync(actor())
    flash("The statements are being read", "success")
    return redirect(f"/dashboard/{mode}/settlements?job={job_id}", 303)


@blueprint.get("/<settlement_id>")
@screen("settlements:read")
def show(mode: str, settlement_id: str) -> Response:
    """One statement with its lines."""
    row = settlements.get(actor(), settlement_id)
    page = settlements.lines(actor(), settlement_id, limit=50, cursor=request.args.get("cursor"))
    return render(
        "dashboard/settlements/show.html",
        row=row,
        lines=page.data,
        next_url=typed.next_url(page),
        names=names_of_gateways(),
    )


def names_of_gateways() -> dict[str, str]:
    """Connector or type → its name; those that are no longer there keep their ids."""
    who = actor()
    return gateways.names(who.tenant_id, str(who.mode))


def _reading(job_id: str) -> str | None:
    """How far a reading of statements is; None where the address names none."""
    try:
        job = jobs.get(actor(), job_id)
    except NotFound:
        return None
    return word_of(job) if job.name == SYNC else None
