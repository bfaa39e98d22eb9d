"""The way back from 3-D Secure and banks; the truth is the gateway's (reliability.md 22)."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from app.services.checkout import payment, returns
from app.services.checkout.payment import Landing
from app.web.opens import To, opens

blueprint = Blueprint("returns", __name__, url_prefix="/return")

#: CK-032: it verifies the token and leads on to the session's own pages.
_LANDING = "/v1/checkout/redirect/return"


@blueprint.route("/<nonce>", methods=["GET", "POST"])
@opens(To.ADDRESS)
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
        return returns.with_words(
            landing.attempt.return_url,
            payment_intent_id=landing.intent.id,
            payment_token=landing.attempt.return_nonce,
            redirect_status=returns.hint(landing.intent),
        )
    session = landing.session
    if session is None:
        return None
    if session.hosted_id:
        return f"/pay/{session.hosted_id}"
    if not session.success_url and not session.cancel_url:
        return None
    return returns.with_words(
        _LANDING,
        checkout_id=session.id,
        payment_token=landing.attempt.return_nonce,
        status=returns.hint(landing.intent),
    )
