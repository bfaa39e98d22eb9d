"""Logos of merchants: /logo/{merchant}/{digest}/{size}.png, which says what it holds and so never changes."""

from __future__ import annotations

from flask import Blueprint, Response

from app.services.access import logos
from app.web.opens import To, opens

blueprint = Blueprint("logos", __name__, url_prefix="/logo")

#: A year: another logo has another address.
FOREVER = "public, max-age=31536000, immutable"


@blueprint.get("/<public_id>/<digest>/<any(page, print):size>.png")
@opens(To.ADDRESS)
def show(public_id: str, digest: str, size: str) -> Response:
    """The picture."""
    content = logos.read(public_id, digest, size)
    return Response(content, mimetype="image/png", headers={"Cache-Control": FOREVER})
