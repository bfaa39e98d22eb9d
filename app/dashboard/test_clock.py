"""The test clock: a merchant's test mode goes forward, and what is due then happens (docs/adr/0039)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen, status_of
from app.domain.errors import DomainError
from app.services.events import inspection
from app.services.events.inspection import Filters
from app.services.operations import test_clock

blueprint = Blueprint("test_clock", __name__, url_prefix="/dashboard/<any(test, live):mode>/test-clock")

#: Seconds → words.
STEPS: tuple[tuple[int, Any], ...] = (
    (600, _("Ten minutes")),
    (3600, _("An hour")),
    (86_400, _("A day")),
    (3 * 86_400, _("Three days")),
    (8 * 86_400, _("Eight days")),
    (31 * 86_400, _("31 days")),
)


@blueprint.get("")
@screen("sandbox:read")
def show(mode: str) -> Response:
    """How far to go, and how far it went."""
    return _page([])


@blueprint.post("")
@screen(test_clock.PERMISSION)
def advance(mode: str) -> AnyResponse:
    """Go forward."""
    try:
        test_clock.advance(actor(), request.form.get("seconds", default=0, type=int))
    except DomainError as refused:
        return _page([{"field": "seconds", "text": refused.message}], status_of(refused))
    flash("Your test mode went forward. What is due now happens within seconds.", "success")
    return redirect(f"/dashboard/{mode}/test-clock", 303)


def _page(errors: list[dict[str, Any]], status: int = 200) -> Response:
    words = dict(STEPS)
    found = inspection.search(actor(), Filters(action=test_clock.ADVANCED)).data
    steps = [(item.entry.created_at, item.entry.data["after"]["seconds"]) for item in found]
    return render(
        "dashboard/test_clock/show.html",
        status,
        options=[(str(seconds), text, None) for seconds, text in STEPS],
        steps=[(at, words.get(seconds) or f"{seconds} s") for at, seconds in steps],
        errors=errors,
        form=FlaskForm(),
    )
