"""An identity service of a merchant's own: told of each check once, and believed only as far as can be."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import ProviderUnavailable
from app.services.checkout import identity
from tests.providers_apart import Systems
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("nothing_open")


@pytest.fixture
def own(shop: Shop, systems: Systems) -> Shop:
    """A shop whose buyers are identified by a service of its merchant's."""
    return systems.serve(shop, "kyc")


def test_a_check_is_opened_there_once_and_leads_to_its_page(own: Shop, systems: Systems) -> None:
    session = own.session()
    started = identity.start(own.actor, session.id)
    assert started.upload_url == "https://identity.example.com/check-1"
    assert (started.request.provider, started.request.provider_reference) == ("http", "check-1")
    assert identity.start(own.actor, session.id).request.id == started.request.id
    [asked] = systems.seen("kyc.open")
    assert asked["headers"]["idempotency-key"] == f"kyc.open:{started.request.id}"
    assert asked["call"]["data"] == {"kyc_id": started.request.id}
    done = identity.complete(own.actor, started.request.id, approved=True)
    assert done.status == "approved"


def test_a_service_without_a_page_leaves_the_documents_to_us(own: Shop, systems: Systems) -> None:
    systems.says("kyc.open", {"reference": "r-1", "url": None})
    started = identity.start(own.actor, own.session().id)
    assert (started.request.provider_reference, started.request.provider_url) == ("r-1", None)
    assert started.upload_url is not None and "/v1/uploads/" in started.upload_url


@pytest.mark.parametrize("how", ["slow", "drop", "act, then drop", "drip"])
def test_a_check_waits_for_a_service_that_does_not_answer(own: Shop, systems: Systems, how: str) -> None:
    session = own.session()
    systems.misbehaves("kyc.open", how)
    with pytest.raises(ProviderUnavailable):
        identity.start(own.actor, session.id)
    systems.behaves()
    started = identity.start(own.actor, session.id)
    assert started.request.provider_reference == "check-1"
    assert {asked["call"]["data"]["kyc_id"] for asked in systems.seen("kyc.open")} == {started.request.id}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"reference": ""},
        {"reference": "x" * 129},
        {"reference": 7},
        {"reference": "r", "url": "javascript:alert(1)"},
        {"reference": "r", "url": "https://shop.example@evil.example/"},
        {"reference": "r", "url": "https://e.example/" + "x" * 2000},
        {"reference": "r", "url": 7},
    ],
)
def test_what_cannot_be_is_not_believed(own: Shop, systems: Systems, answer: dict[str, Any]) -> None:
    systems.says("kyc.open", answer)
    session = own.session()
    with pytest.raises(ProviderUnavailable):
        identity.start(own.actor, session.id)
    systems.behaves()
    assert (
        identity.start(own.actor, session.id).request.provider_url == "https://identity.example.com/check-1"
    )
