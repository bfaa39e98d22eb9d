"""The way back from 3-D Secure and banks; the truth is the gateway's (reliability.md 22)."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from app.services.checkout import payment

blueprint = Blueprint("returns", __name__, url_prefix="/return")


@blueprint.route("/<nonce>", methods=["GET", "POST"])
def come_back(nonce: str) -> Response:
    """Look at the gateway again, then go on to the session's page."""
    session = payment.resume(nonce)
    if session is None:
        return Response(render_template("returns/unrecognised.html"), 404, mimetype="text/html")
    onward = f"/pay/{session.hosted_id}" if session.hosted_id else (session.success_url or "/")
    page = render_template("returns/leaving.html", onward_url=onward)
    return Response(page, mimetype="text/html")
