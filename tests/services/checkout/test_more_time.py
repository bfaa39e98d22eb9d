"""More time for a session: once, however often it is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.domain.errors import Conflict, InvalidState
from app.models.checkout.session import CheckoutSession
from app.services.checkout import hosted
from tests.shops import Shop, later


def test_of_many_who_ask_at_once_one_gets_it(shop: Shop) -> None:
    session = shop.session()

    def ask(_: int) -> str:
        try:
            hosted.extend(shop.actor, session.id)
        except InvalidState as refused:
            return refused.code
        return "longer"

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(ask, range(6)))
    assert answers == ["extension_used"] * 5 + ["longer"]
    assert shop.read(session).expires_at == session.expires_at + timedelta(seconds=1800)


def test_it_is_refused_where_the_surface_fixes_the_lifetime_and_when_it_is_over(shop: Shop) -> None:
    fixed: CheckoutSession = shop.session(surface="sessions")
    with pytest.raises(Conflict) as refused:
        hosted.extend(shop.actor, fixed.id)
    assert refused.value.code == "session_immutable"
    session = shop.session()
    with later(3601), pytest.raises(InvalidState) as over:
        hosted.extend(shop.actor, session.id)
    assert over.value.code == "checkout_expired"
    assert not hosted.can_extend(fixed)
