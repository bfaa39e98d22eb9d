"""The audit log: the journal, and whether its chain holds."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.dashboard.shell import actor, render, screen
from app.domain.permissions import AUDIT_READ
from app.services.events import audit, timeline

blueprint = Blueprint("audit_log", __name__, url_prefix="/dashboard/<any(test, live):mode>/audit")


@blueprint.get("")
@screen(AUDIT_READ)
def index(mode: str) -> Response:
    """The journal, newest first."""
    who = actor()
    page = timeline.recent(who, cursor=request.args.get("cursor"))
    more = f"{request.path}?cursor={page.next_cursor}" if page.next_cursor else None
    checked = request.args.get("check") == "1"
    problems = audit.verify(who.tenant_id) if checked else []
    return render(
        "dashboard/audit/index.html", rows=page.data, next_url=more, checked=checked, problems=problems
    )
