"""Reconciliation: runs, what does not agree, and deciding about it, by matching too (PY-050 to PY-052)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import queues, typed
from app.dashboard.settlements import names_of_gateways
from app.dashboard.shell import actor, render, screen
from app.domain.errors import DomainError, InvalidRequest
from app.services.treasury import comparison, reconciliations, resolutions
from app.services.treasury.resolutions import ACCEPT, INVESTIGATE, MATCH, WRITE_OFF, Decision

blueprint = Blueprint(
    "reconciliations", __name__, url_prefix="/dashboard/<any(test, live):mode>/reconciliations"
)

#: Tab → its words, and the filter of the report.
TABS: dict[str, tuple[str, dict[str, Any]]] = {
    "open": ("To decide", {"resolved": False}),
    "decided": ("Decided", {"resolved": True}),
    "matched": ("Matched", {"outcome": comparison.MATCHED}),
    "all": ("All", {}),
}


@blueprint.get("")
@screen("reconciliations:read")
def index(mode: str) -> Response:
    """Runs, the newest first."""
    return _index()


@blueprint.post("")
@screen("reconciliations:write")
def create(mode: str) -> AnyResponse:
    """Compare our books with the statements of a span of days."""
    form = request.form
    try:
        edges = [_day(form.get("from", ""), "from"), _day(form.get("to", ""), "to")]
        run = reconciliations.create(actor(), since=edges[0], until=edges[1])
    except DomainError as refused:
        return _index(typed.complaint(refused, "from"), typed.status(refused))
    return redirect(f"/dashboard/{mode}/reconciliations/{run.id}", 303)


@blueprint.get("/<job_id>")
@screen("reconciliations:read")
def show(mode: str, job_id: str) -> Response:
    """A run: how far it is, and what came of each line and transaction."""
    show, tabs = queues.shown(TABS)
    page = reconciliations.items(actor(), job_id, cursor=request.args.get("cursor"), **TABS[show][1])
    return render(
        "dashboard/reconciliations/show.html",
        report=reconciliations.get(actor(), job_id),
        rows=page.data,
        tabs=tabs,
        show=show,
        next_url=typed.next_url(page, show=show),
        names=names_of_gateways(),
    )


@blueprint.get("/<job_id>/<subject_id>")
@screen("reconciliations:read")
def item(mode: str, job_id: str, subject_id: str) -> Response:
    """One discrepancy, and what can be decided."""
    return _item(job_id, subject_id)


@blueprint.post("/<job_id>/<subject_id>")
@screen("reconciliations:write", step_up="write-offs")
def decide(mode: str, job_id: str, subject_id: str) -> AnyResponse:
    """Decide about it."""
    form, found = request.form, reconciliations.item(actor(), job_id, subject_id)[0]
    action, line = form.get("action", ""), form.get("line", "") or None
    try:
        if action not in _open_to(found.outcome):
            raise InvalidRequest("Choose what to do", field="action")
        note = form.get("note", "").strip()[:1000]
        decision = Decision(subject_id, action, note, line if action == MATCH else None)
        resolutions.resolve(actor(), job_id, [decision])
    except DomainError as refused:
        return _item(job_id, subject_id, typed.complaint(refused), typed.status(refused))
    flash("Your decision is kept", "success")
    return redirect(f"/dashboard/{mode}/reconciliations/{job_id}", 303)


def _day(text: str, field: str) -> datetime | None:
    """Raises InvalidRequest for what is no day; nothing is None."""
    found = typed.day(text, after=field == "to")
    if text.strip() and found is None:
        raise InvalidRequest("Enter a day like 2025-08-29", field=field)
    return found


def _open_to(outcome: str) -> tuple[str, ...]:
    """The decisions that make sense; a transaction that is missing may be a line that nobody knew."""
    if outcome == comparison.MATCHED:
        return ()
    usual = (ACCEPT, WRITE_OFF, INVESTIGATE)
    return (MATCH, *usual) if outcome == comparison.MISSING else usual


def _index(errors: typed.Errors | None = None, status: int = 200) -> Response:
    page = reconciliations.list_page(actor(), cursor=request.args.get("cursor"))
    return render(
        "dashboard/reconciliations/index.html",
        status,
        rows=page.data,
        next_url=typed.next_url(page),
        errors=errors or [],
        typed=request.form,
    )


def _item(job_id: str, subject_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    found, decision = reconciliations.item(actor(), job_id, subject_id)
    missing = found.outcome == comparison.MISSING
    return render(
        "dashboard/reconciliations/item.html",
        status,
        item=found,
        decision=decision,
        actions=_open_to(found.outcome),
        lines=reconciliations.candidates(actor(), found) if missing else [],
        errors=errors or [],
        typed=request.form,
        names=names_of_gateways(),
    )
