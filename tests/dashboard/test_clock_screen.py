"""The test clock at the dashboard: who may move it, what it says, and that live mode has none."""

from __future__ import annotations

from flask import Flask

from app.services.checkout import reservations, sessions
from tests import desk
from tests.shops import Shop


def test_going_forward_ends_what_is_due(app: Flask, shop: Shop) -> None:
    owner, session = desk.at(app, shop), shop.session()
    assert "It has not been moved" in owner.get("/test-clock").text
    assert owner.post("/test-clock", seconds="86400").status_code == 303
    reservations.expire_due()
    sessions.expire_due()
    assert shop.read(session).status == "canceled"
    page = owner.get("/test-clock").text
    assert "It has not been moved" not in page and "<td>A day</td>" in page
    assert owner.post("/test-clock", seconds="soon").status_code == 422


def test_live_mode_has_no_clock_to_move(app: Flask, shop: Shop) -> None:
    owner, session = desk.at(app, shop), shop.session()
    assert "Real time cannot be moved" in owner.get("/dashboard/live/test-clock").text
    assert owner.post("/dashboard/live/test-clock", seconds="86400").status_code == 403
    assert shop.read(session).expires_at == session.expires_at
