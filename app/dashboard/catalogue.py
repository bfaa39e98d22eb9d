"""The catalogue: its parts are screens of their own, under one entry of the menu."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, screen
from app.domain.rules.providers import url_of

blueprint = Blueprint("catalogue", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue")


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> AnyResponse:
    """The first of them."""
    return redirect(f"/dashboard/{mode}/catalogue/products", 303)


def elsewhere(provider: str) -> bool:
    """Whether a system of the merchant's own is asked in place of this part."""
    return url_of(actor().tenant.settings, provider) is not None
