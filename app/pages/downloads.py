"""/exports/{token}: the file of an export, behind a link that is signed and ends soon (PY-078)."""

from __future__ import annotations

from flask import Blueprint, Response, send_file

from app.services.operations import exports
from app.web.opens import To, opens

blueprint = Blueprint("downloads", __name__, url_prefix="/exports")


@blueprint.get("/<token>")
@opens(To.ADDRESS)
def show(token: str) -> Response:
    """Send the file; it is streamed from the disk."""
    path, name, media_type = exports.open_link(token)
    response = send_file(path, mimetype=media_type, as_attachment=True, download_name=name, max_age=0)
    response.headers["Cache-Control"] = "no-store"
    return response
