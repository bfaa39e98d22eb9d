"""The hosted page where cards are Stripe's: in its fields on our page, or on its own page, and never in fields of ours."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app import settings
from app.connectors import registry
from tests.shops import Shop
from tests.stripe_standin import StandIn

pytestmark = pytest.mark.usefixtures("holds")

HOUSE = "sk_test_of_the_house"


@pytest.fixture
def account(standin: StandIn, shop: Shop, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The deployment's account; the sandbox is not there, as in production."""
    monkeypatch.setattr(registry, "_ALL", tuple(c for c in registry._ALL if c.name == "stripe"))
    configure()
    return standin.account(HOUSE)


def configure(mode: str = "redirect", key: str = HOUSE) -> None:
    house = {**settings.current().model_dump(), "stripe_secret_key": key, "stripe_mode": mode}
    settings.use(settings.load(**house))


def test_a_card_leads_to_stripes_page_and_back(account: Any, shop: Shop, client: FlaskClient) -> None:
    session = shop.session(method_types=("card", "ideal"))
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert 'name="method" value="card"' in page
    assert 'name="method" value="ideal"' in page
    assert "card_number" not in page
    sent = client.post(
        f"/pay/{session.hosted_id}/method", data={"method": "card", "nonce": "n1", "csrf_token": token(page)}
    )
    assert sent.status_code == 303
    [there] = [o for o in account.objects.values() if o["object"] == "checkout.session"]
    assert there["url"] in client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    account.pay_session(there["id"])
    back = there["_back"].removeprefix(settings.current().base_url)
    assert client.get(back).status_code == 200
    assert shop.read(session).status == "completed"
    assert shop.left("MUG") == (99, 0, 1)


@pytest.mark.parametrize(("mode", "key"), [("elements", HOUSE), ("redirect", "sk_live_of_the_house")])
def test_a_card_is_not_offered_where_it_could_not_be_taken(
    account: Any, shop: Shop, client: FlaskClient, mode: str, key: str
) -> None:
    configure(mode, key)
    session = shop.session(method_types=("card", "ideal"))
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert 'value="card"' not in page
    assert "card_number" not in page
    assert ('value="ideal"' in page) == (key == HOUSE)


def token(page: str) -> str:
    """The form token of a page."""
    return page.split('name="csrf_token"')[1].split('value="')[1].split('"', maxsplit=1)[0]
