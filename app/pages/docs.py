"""The front door and the API reference: what the operator and a developer see first."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template
from werkzeug.wrappers import Response

from app.web.opens import To, opens

blueprint = Blueprint("docs", __name__)


@blueprint.get("/")
@opens(To.EVERYBODY)
def home() -> Response:
    """Straight to the dashboard."""
    return redirect("/dashboard", 302)


@blueprint.get("/docs")
@opens(To.EVERYBODY)
def reference() -> str:
    """The endpoints that are built, made from the same policies as /openapi.json."""
    return render_template("docs/reference.html", surfaces=current_app.extensions["till_surfaces"])
