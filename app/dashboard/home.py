"""Home: how the shop is doing."""

from __future__ import annotations

from flask import Blueprint, Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.services.events import webhooks
from app.services.operations import metrics
from app.services.payments import intents

blueprint = Blueprint("home", __name__, url_prefix="/dashboard")


@blueprint.get("")
@blueprint.get("/")
@screen()
def start() -> AnyResponse:
    """The front door."""
    return redirect("/dashboard/test", 303)


@blueprint.get("/<any(test, live):mode>")
@screen()
def show(mode: str) -> Response:
    """Figures of the last 30 days, and the latest payments, for those who may see them."""
    who = actor()
    return render(
        "dashboard/home/show.html",
        figures=metrics.overview(who) if who.can("reports:read") else None,
        latest=intents.list_page(who, limit=6).data if who.can("intents:read") else None,
        troubled=webhooks.in_trouble(who) if who.can("webhooks:read") else [],
    )
