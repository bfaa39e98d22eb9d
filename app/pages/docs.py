"""The front door and the API reference: what the operator and a developer see first."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template
from werkzeug.wrappers import Response

from app import settings
from app.domain.errors import NotFound
from app.pages import reference
from app.web.opens import To, opens

blueprint = Blueprint("docs", __name__)


@blueprint.get("/")
@opens(To.EVERYBODY)
def home() -> Response:
    """Straight to the dashboard."""
    return redirect("/dashboard", 302)


@blueprint.get("/docs")
@opens(To.EVERYBODY)
def overview() -> str:
    """The endpoints that are built, from the same policies as /openapi.json; each surface has its page."""
    return render_template("docs/overview.html", surfaces=_surfaces())


@blueprint.get("/docs/<surface>")
@opens(To.EVERYBODY)
def surface_page(surface: str) -> str:
    """One surface: what its endpoints take and answer."""
    surfaces = _surfaces()
    shown = next((one for one in surfaces if one.name == surface), None)
    if shown is None:
        raise NotFound("There is no such surface")
    return render_template("docs/surface.html", surfaces=surfaces, surface=shown)


def _surfaces() -> list[reference.Reference]:
    sandboxed = not settings.current().production
    known = current_app.extensions["till_surfaces"]
    return [reference.of(surface, sandboxed) for surface in known if surface.policies]
