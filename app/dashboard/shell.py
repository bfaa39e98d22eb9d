"""What every screen shares: the signed-in person, the mode in the URL, permissions, step-up, the frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from flask import Response, abort, current_app, flash, g, redirect, render_template, request, session
from flask_login import LoginManager, UserMixin, current_user
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.navigation import menu
from app.domain.actor import Actor
from app.domain.errors import DomainError, PermissionDenied
from app.services.access import tenants, web_sessions
from app.services.access.web_sessions import SignedIn
from app.services.operations.settings import checkout_settings
from app.web import card_screen
from app.web.opens import Door, To, put

F = TypeVar("F", bound=Callable[..., Any])

#: Fields of forms that hold a person's own password, and how those begin that hold a gateway's credentials.
_PASSWORDS, _CREDENTIALS = ("secret", "new_secret"), "config."

#: The key of our token in Flask's signed cookie.
TOKEN = "web_session"


class Manager(LoginManager):  # type: ignore[misc]
    """Flask-Login's, without its cookie that remembers people: nobody is given one.

    Looking for it opened the session at every answer, and made shared caches keep a file for each cookie.
    """

    def _update_remember_cookie(self, response: Response) -> Response:
        return response


login_manager = Manager()
login_manager.login_view = "sign_in.show"
login_manager.login_message = None


class Person(UserMixin):  # type: ignore[misc]
    """Flask-Login's view of a signed-in person."""

    def __init__(self, signed_in: SignedIn) -> None:
        self.signed_in = signed_in

    def get_id(self) -> str:
        """Flask-Login wants an id."""
        return self.signed_in.user.id


@login_manager.request_loader  # type: ignore[untyped-decorator]
def _load(_request: Any) -> Person | None:
    token = session.get(TOKEN)
    signed_in = web_sessions.load(token) if token else None
    return Person(signed_in) if signed_in is not None else None


@login_manager.unauthorized_handler  # type: ignore[untyped-decorator]
def _to_sign_in() -> AnyResponse:
    here = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(f"/dashboard/sign-in?next={quote(here)}" if here else "/dashboard/sign-in", 303)


def signed_in() -> SignedIn:
    """Who is signed in."""
    person: Person = current_user
    return person.signed_in


def actor() -> Actor:
    """The signed-in person as an actor, in the mode that the URL names."""
    mode = (request.view_args or {}).get("mode", "test")
    if mode not in ("test", "live"):
        abort(404)
    made = signed_in().actor(mode, g.request_id)
    g.actor = made
    return made


def screen(permission: str | None = None, *, step_up: str | None = None) -> Callable[[F], F]:
    """Declare a screen: for people who are signed in, hold a permission and have lately confirmed an action.

    It is refused in this order; what is missing of the last leads to the page that asks for it.
    """

    def declare(view: F) -> F:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not current_user.is_authenticated:
                return login_manager.unauthorized()
            tenants.refuse_suspended(signed_in().tenant)
            if _owes_second_factor():
                flash("Your team wants two-step sign-in of everybody: set it up to go on.", "warning")
                return redirect("/dashboard/security/totp", 303)
            if permission is not None and not actor().can(permission):
                raise PermissionDenied("Your role doesn't allow this")
            detour = stepped_up(step_up) if step_up is not None else None
            if detour is not None:
                return detour
            _refuse_cards()
            return view(*args, **kwargs)

        return put(guarded, Door(To.PEOPLE, permission, step_up))  # type: ignore[return-value]

    return declare


def _owes_second_factor() -> bool:
    """Whether the merchant wants a second factor, the person has none, and this is not the way to one."""
    who = signed_in()
    wanted = checkout_settings(who.tenant).require_second_factor and not who.user.totp_enabled
    return wanted and request.blueprint not in ("security", "step_up")


def _refuse_cards() -> None:
    """What people type is kept (reasons, names, references), but for their own passwords."""
    typed = (
        (name, text)
        for name, text in request.form.items(multi=True)
        if name not in _PASSWORDS and not name.startswith(_CREDENTIALS)
    )
    card_screen.refuse_in_form(MultiDict(typed), request.files)


def stepped_up(action: str) -> AnyResponse | None:
    """None when the person has lately confirmed this action; else the way to the page that asks.

    In live mode a password is not enough: whoever does such a thing sets up a second factor first.
    """
    way = way_to_confirm(action, request.form.get("back") or request.path)
    if way is None:
        return None
    if _owes_for_real_money():
        flash("Real money wants two-step sign-in: set it up first.", "warning")
    return redirect(way, 303)


def way_to_confirm(action: str, back: str) -> str | None:
    """Where one confirms an action and is led `back`; None for who has lately confirmed it.

    A screen asks it before it shows a form, so that nobody's words are lost on the way.
    """
    if _owes_for_real_money():
        return "/dashboard/security/totp"
    if signed_in().confirmed(action):
        return None
    return f"/dashboard/confirm?action={action}&next={quote(back)}"


def to_confirm(action: str, anchor: str = "") -> str | None:
    """See `way_to_confirm`, and back to a place of this screen: a dialog opens by its `#id`."""
    return way_to_confirm(action, request.path + anchor)


def _owes_for_real_money() -> bool:
    live = (request.view_args or {}).get("mode") == "live"
    return live and not signed_in().user.totp_enabled


def status_of(refused: DomainError) -> int:
    """The status of a form that comes back: what is wrong with it is 422, whoever found it."""
    return 422 if refused.http_status in (400, 404) else refused.http_status


def renew() -> None:
    """Give this browser's session a new id: after step-up, MFA and privilege changes nobody has fixed it."""
    session[TOKEN] = web_sessions.renew(signed_in().token_hash)


def place(mode: str, section: str, item: str | None = None, **query: str) -> str | None:
    """The address of a screen, or None where there is none: `place("test", "payments", "pi_…")`."""
    path = f"/dashboard/{mode}/{section}" + (f"/{quote(item, safe='')}" if item else "")
    if not current_app.url_map.bind("").test(path, "GET"):
        return None
    return f"{path}?{urlencode(query)}" if query else path


def _in_mode(mode: str) -> str:
    """The list that this screen belongs to in a mode; home where there is none, or it is of neither mode."""
    section = request.path.split("/")[3:4] if "mode" in (request.view_args or {}) else []
    return (place(mode, section[0]) if section else None) or f"/dashboard/{mode}"


def render(template: str, status: int = 200, **context: Any) -> Response:
    """A screen in its frame."""
    who, mode = signed_in(), (request.view_args or {}).get("mode", "test")
    base, may = f"/dashboard/{mode}", who.actor(mode).can
    shell = {
        "merchant_name": who.tenant.name,
        "mode": mode,
        "test_url": _in_mode("test"),
        "live_url": _in_mode("live"),
        "home_url": base,
        "search_url": f"{base}/search" if may("intents:read") else None,
        "query": request.args.get("q", ""),
        "sign_out_url": "/dashboard/sign-out",
        "profile_url": "/dashboard/security",
        "user": {"name": who.user.name, "email": who.user.email},
        "nav": menu(mode, request.path, may),
    }
    page = render_template(
        template, shell=shell, base=base, can=may, to_confirm=to_confirm, tenant=who.tenant, **context
    )
    return Response(page, status, mimetype="text/html")
