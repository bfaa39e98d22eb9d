"""The hosted page in a frame of the shop's own page: /embed/{token} opens it, its forms go on by themselves.

Everything on it is the hosted page's; here is what a frame needs besides: no step is redirected to, since its
address would hold no token.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from flask_babel import gettext

from app.domain.errors import InvalidState, NotFound, PermissionDenied
from app.pages import checkout
from app.services.checkout import hosted, sessions
from app.web import frames
from app.web.frames import Refused
from app.web.opens import To, opens

blueprint = Blueprint("embed", __name__, url_prefix="/embed")


@blueprint.get("/<token>")
@opens(To.ADDRESS)
def show(token: str) -> Response:
    """Open the frame: the session's current step."""
    claimed = frames.claimed_origin()
    try:
        frame = frames.enter(token, claimed)
        session = sessions.get(frame.actor, frame.session_id)
        if session.hosted_id is None:
            session = hosted.open_page(frame.actor, session.id)
    except Refused as refused:
        return frames.refusal(refused, claimed)
    except InvalidState:
        words = gettext("This payment is over. Go back to the shop to see how it stands.")
        over = Refused("session_over", words, 409)
        return frames.refusal(over, claimed)
    return checkout.current_step(session.hosted_id or "")


@blueprint.post("")
@opens(To.ADDRESS)
def look_again() -> Response:
    """The current step once more: how a frame goes on after it has waited."""
    frame = frames.current()
    if frame is None:
        raise NotFound("There is no payment to show")
    return checkout.current_step(sessions.get(frame.actor, frame.session_id).hosted_id or "")


@checkout.blueprint.before_request
def _own_session_only() -> None:
    """A frame's token opens its own session's page, whatever address it was sent to.

    Raises:
        NotFound: it is another session's.
    """
    frame = frames.current()
    if frame is None:
        return
    session, _, _ = hosted.find((request.view_args or {})["hosted_id"])
    if session.id != frame.session_id:
        raise NotFound("There is no such checkout page", code="checkout_not_found")


@checkout.blueprint.after_request
def _stay_in_the_frame(response: Response) -> Response:
    """Where the hosted page would lead on to a step, a frame shows that step."""
    frame = frames.current()
    if frame is None or response.status_code != 303:
        return response
    hosted_id = urlsplit(response.headers["Location"]).path.split("/")[2]
    try:
        session, _, _ = hosted.find(hosted_id)
        if session.id != frame.session_id:
            frames.move_to(session)
        return checkout.current_step(hosted_id)
    except PermissionDenied as suspended:  # what was under way is over, and nothing more begins
        return frames.refusal(frames.closed(suspended), frame.origin)
