"""The way back from 3-D Secure and banks; the truth is the gateway's (reliability.md 22)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, Response, render_template

from app.domain.lifecycles.intents import Status
from app.services.checkout import payment
from app.services.checkout.payment import Landing

blueprint = Blueprint("returns", __name__, url_prefix="/return")

#: What the page that the payer comes back to is told; it asks us again before it believes it.
_WORDS = {
    Status.SUCCEEDED: "succeeded",
    Status.AUTHORIZED: "succeeded",
    Status.REQUIRES_CAPTURE: "succeeded",
    Status.REQUIRES_ACTION: "pending",
    Status.PROCESSING: "pending",
}


@blueprint.route("/<nonce>", methods=["GET", "POST"])
def come_back(nonce: str) -> Response:
    """Look at the gateway again, then go on to where the payer came from."""
    landing = payment.resume(nonce)
    if landing is None:
        return Response(render_template("returns/unrecognised.html"), 404, mimetype="text/html")
    onward = _onward(landing)
    template = "returns/leaving.html" if onward else "returns/back.html"
    return Response(render_template(template, onward_url=onward), mimetype="text/html")


def _onward(landing: Landing) -> str | None:
    """The page that the call which started this named, or the session's; None where there is neither."""
    if landing.attempt.return_url:
        return _told(landing.attempt.return_url, landing)
    session = landing.session
    if session is None:
        return None
    return f"/pay/{session.hosted_id}" if session.hosted_id else (session.success_url or "/")


def _told(url: str, landing: Landing) -> str:
    """The merchant's page with the payment, its one-time token and a hint of the outcome (OP-18)."""
    parts = urlsplit(url)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_intent_id", landing.intent.id),
        ("payment_token", landing.attempt.return_nonce),
        ("redirect_status", _WORDS.get(Status(landing.intent.status), "failed")),
    ]
    return parts._replace(query=urlencode(query)).geturl()
