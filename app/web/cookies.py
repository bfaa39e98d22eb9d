"""The session cookie of the pages; most requests come without one and pay nothing for it."""

from __future__ import annotations

from flask import Flask, Request, Response, g
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class CookieSessions(SecureCookieSessionInterface):
    """Flask's own, which makes a signer before it looks whether there is a cookie to read."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """An empty session where no cookie came."""
        if "HTTP_COOKIE" not in request.environ or self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """As ever where there is something to save; a frame on another site's page has no cookies."""
        untouched = not (session or session.accessed or session.modified)
        if not untouched and "frame" not in g:
            super().save_session(app, session, response)
