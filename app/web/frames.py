"""The hosted page in a frame on a shop's own page: what its token proves, who may frame it (ADR 0032).

No cookie goes into the frame or comes from it. The token stands in the address once, then in every form,
where it takes the place of the CSRF token: whoever holds it may pay this session, and nobody else's browser
adds anything to a forged form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Flask, Response, g, render_template, request
from flask_babel import gettext
from flask_wtf import CSRFProtect

from app.domain.actor import Actor
from app.domain.errors import PermissionDenied, Unauthenticated
from app.domain.rules.page_choices import is_origin
from app.models.checkout.session import CheckoutSession
from app.services.access import tokens
from app.services.operations.settings import checkout_settings
from app.web.headers import policy

#: Fields that each form in a frame carries.
TOKEN, ORIGIN = "embed_token", "embed_origin"
#: Blueprints whose forms may come from a frame.
FRAMED = ("checkout", "embed")

_NOBODY = "'none'"


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: the token that it holds, for whom that speaks, and the origin of the page around it."""

    token: str
    actor: Actor
    #: As it was claimed, and one of those that are stored; what it is, browsers see to.
    origin: str
    origins: tuple[str, ...]

    @property
    def session_id(self) -> str:
        """The one session that may be shown here."""
        return str(self.actor.session_id)


class Refused(Exception):
    """Nothing may be shown: why, as a word for programs and a sentence for people."""

    def __init__(self, code: str, words: str, status: int) -> None:
        super().__init__(words)
        self.code, self.words, self.status = code, words, status


class FormProtection(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's, for forms with a cookie behind them; those in frames have their token."""

    def protect(self, apply_exemptions: bool = False) -> None:
        """Refuse a form that another site sent."""
        if current() is not None:
            g.csrf_valid = True
        else:
            super().protect(apply_exemptions=apply_exemptions)


def install(app: Flask) -> FormProtection:
    """Know frames by their forms, before forms are checked, and say of each answer who may frame it."""

    @app.before_request
    def _enter() -> Response | None:
        if request.blueprint not in FRAMED or request.method != "POST" or TOKEN not in request.form:
            return None
        try:
            enter(request.form[TOKEN], request.form.get(ORIGIN, ""))
        except Refused as refused:
            return refusal(refused, request.form.get(ORIGIN, ""))
        return None

    @app.after_request
    def _framed_by(response: Response) -> Response:
        frame = current()
        if frame is not None:
            _may_frame(response, " ".join(frame.origins) or _NOBODY)
        return response

    return FormProtection(app)


def current() -> Frame | None:
    """The frame that this request came from."""
    found: Frame | None = g.get("frame")
    return found


def enter(token: str, claimed: str) -> Frame:
    """Let a frame in.

    Raises:
        Refused: no good token of a frame, the page around it is none of the merchant's, or the merchant is
            suspended (who has paid, or is paying, sees how it went).
    """
    try:
        actor = tokens.authenticate(token, to_look=True) if token.startswith("pub_") else None
    except Unauthenticated:
        actor = None
    except PermissionDenied as suspended:
        raise closed(suspended) from suspended
    if actor is None or actor.expires_at is None:
        words = gettext("This payment form is no longer valid. Reload the page to go on.")
        raise Refused("token_invalid", words, 404)
    origins = checkout_settings(actor.tenant).embed_origins
    if claimed and claimed not in origins:
        raise Refused(
            "origin_not_allowed",
            f"This payment form may not be shown on {claimed}. The shop has to add that origin to its"
            " checkout settings (hosted_checkout.embed_origins).",
            403,
        )
    g.frame = Frame(token, actor, claimed, origins)
    return g.frame  # type: ignore[no-any-return]


def closed(suspended: PermissionDenied) -> Refused:
    """What a frame says where the merchant is suspended and nothing was begun."""
    return Refused(suspended.code, gettext("This shop takes no payments at the moment."), 403)


def move_to(session: CheckoutSession) -> None:
    """Let the frame go on with another session: a fresh copy of its own, for no longer than before."""
    frame: Frame = g.frame
    token, _ = tokens.embed_token(frame.actor, session)
    g.frame = replace(frame, token=token, actor=replace(frame.actor, session_id=session.id))


def claimed_origin() -> str:
    """Where a frame that opens says that it stands; embed.js says so, and browsers in their `Referer`."""
    given = request.args.get("origin")
    if given is None:
        try:
            parts = urlsplit(request.referrer or "")
        except ValueError:  # no browser's
            return ""
        given = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        own = f"{request.scheme}://{request.host}"
        return "" if given == own else given
    return given


def refusal(refused: Refused, claimed: str) -> Response:
    """A page with a sentence and nothing else on it, which may stand where somebody has to read it."""
    shown = claimed if is_origin(claimed) else ""
    page = render_template("embed/refused.html", refused=refused, origin=shown)
    response = Response(page, refused.status, mimetype="text/html")
    _may_frame(response, shown or _NOBODY)
    return response


def _may_frame(response: Response, who: str) -> None:
    given = response.headers.get("Content-Security-Policy") or policy(frame_src="'self'")
    response.headers["Content-Security-Policy"] = given.replace(
        "frame-ancestors 'none'", f"frame-ancestors {who}"
    )
