"""Webhook endpoints: addresses, events, secrets, and whose they are."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from app import settings
from app.db import reading
from app.domain.actor import Actor, Mode, system_actor
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import audit, timeline, webhooks
from tests.buyers import together

URL, EVENTS = "https://merchant.example/hooks", ["payment.succeeded"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "merchant.example",
        "ftp://merchant.example",
        "https://",
        "https://user:pw@merchant.example",
        "https://merchant.example\\@evil.example",
        "https://merchant.example/a b",
        "https://a\x00b.example",
        "https://merchant.example:99999",
        "https://10.0.0.8/x",
        "http://169.254.169.254/latest",
        "https://[fd00::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://0.0.0.0/",
        "javascript:alert(1)",
        "https://merchant.example/" + "a" * 2100,
    ],
)
def test_an_address_that_cannot_be_called_is_refused(actor: Actor, url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        webhooks.create(actor, url, EVENTS)
    assert refused.value.field == "url"
    assert webhooks.list_all(actor) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/", "http://a.localhost"]
)
def test_loopback_is_for_developers(actor: Actor, url: str) -> None:
    webhooks.create(actor, url, EVENTS)
    settings.use(settings.current().model_copy(update={"allow_loopback_webhooks": False}))
    with pytest.raises(InvalidRequest):
        webhooks.create(actor, url, EVENTS)


def test_live_mode_wants_https(actor: Actor) -> None:
    live = dataclasses.replace(actor, mode=Mode.LIVE)
    with pytest.raises(InvalidRequest):
        webhooks.create(live, "http://merchant.example/hooks", EVENTS)
    assert webhooks.create(live, URL, EVENTS)[0].mode == "live"


@pytest.mark.parametrize(
    ("events", "secret", "field"),
    [
        ([], None, "events"),
        (["payment.exploded"], None, "events"),
        (["payment_intent.processing"], None, "events"),
        (EVENTS, "fifteen letters", "secret"),
    ],
)
def test_events_and_secrets_are_checked(
    actor: Actor, events: list[str], secret: str | None, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        webhooks.create(actor, URL, events, secret=secret)
    assert refused.value.field == field


def test_a_secret_is_shown_once_and_kept_encrypted(actor: Actor) -> None:
    endpoint, secret = webhooks.create(actor, URL, EVENTS)
    assert secret.startswith("whsec_")
    with reading() as db:
        stored = db.scalars(select(WebhookEndpoint.secret)).one()
    assert secret not in stored and secret.removeprefix("whsec_") not in stored
    assert webhooks.secrets_of(endpoint) == [secret]
    own, given = webhooks.create(actor, URL, EVENTS, secret="sixteen letters!")
    assert (given, webhooks.secrets_of(own)) == ("sixteen letters!", ["sixteen letters!"])


def test_rolling_twice_forgets_the_first_secret(actor: Actor) -> None:
    endpoint, first = webhooks.create(actor, URL, EVENTS)
    _, second = webhooks.roll_secret(actor, endpoint.id)
    rolled, third = webhooks.roll_secret(actor, endpoint.id)
    assert webhooks.secrets_of(rolled) == [third, second]
    assert len({first, second, third}) == 3


def test_another_merchant_or_mode_sees_nothing(actor: Actor, stranger: Actor) -> None:
    endpoint, _ = webhooks.create(actor, URL, EVENTS)
    live = dataclasses.replace(actor, mode=Mode.LIVE)
    for other in (stranger, live):
        assert webhooks.list_all(other) == []
        for call in (
            lambda who: webhooks.get(who, endpoint.id),
            lambda who: webhooks.delete(who, endpoint.id),
            lambda who: webhooks.update(who, endpoint.id, url=URL + "2"),
            lambda who: webhooks.roll_secret(who, endpoint.id),
            lambda who: webhooks.set_enabled(who, endpoint.id, False),
        ):
            with pytest.raises(NotFound):
                call(other)
    assert webhooks.get(actor, endpoint.id).url == URL


def test_changes_are_made_and_journaled(actor: Actor) -> None:
    endpoint, _ = webhooks.create(actor, URL, EVENTS)
    webhooks.update(actor, endpoint.id, events=["refund.succeeded", "refund.failed"], description="new")
    webhooks.roll_secret(actor, endpoint.id)
    webhooks.set_enabled(actor, endpoint.id, False)
    webhooks.set_enabled(actor, endpoint.id, True)
    found = webhooks.get(actor, endpoint.id)
    assert (found.events, found.description, found.url) == (["refund.failed", "refund.succeeded"], "new", URL)
    webhooks.delete(actor, endpoint.id)
    with pytest.raises(NotFound):
        webhooks.get(actor, endpoint.id)
    assert webhooks.get(actor, endpoint.id, deleted=True).deleted_at is not None
    told = timeline.of_entity(actor, endpoint.id)
    assert [row.type.removeprefix("webhook_endpoint.") for row in told] == [
        "created",
        "updated",
        "secret_rolled",
        "disabled",
        "enabled",
        "deleted",
    ]
    assert told[1].data["before"]["events"] == EVENTS
    assert "secret" not in str([row.data for row in told]).replace("secret_rolled", "")
    audit.seal()
    assert audit.verify(actor.tenant_id) == []


def test_there_is_a_bound(actor: Actor) -> None:
    settings.use(settings.current().model_copy(update={"max_webhook_endpoints": 3}))
    for _ in range(3):
        webhooks.create(actor, URL, EVENTS)
    with pytest.raises(Unprocessable):
        webhooks.create(actor, URL, EVENTS)


def test_the_newest_endpoint_that_lists_an_event(actor: Actor) -> None:
    webhooks.create(actor, URL, EVENTS)
    newer, _ = webhooks.create(actor, URL, EVENTS)
    newest, _ = webhooks.create(actor, URL, EVENTS)
    webhooks.set_enabled(actor, newest.id, False)
    found = webhooks.newest_for(actor, "payment.succeeded")
    assert found is not None and found.id == newer.id
    assert webhooks.newest_for(actor, "refund.failed") is None


def test_a_system_actor_of_the_other_mode_reads_its_own(actor: Actor) -> None:
    live = system_actor(actor.tenant, "live")
    webhooks.create(live, URL, EVENTS)
    assert len(webhooks.list_all(live)) == 1
    assert webhooks.list_all(actor) == []


def test_of_secrets_rolled_at_once_each_was_in_force(actor: Actor) -> None:
    endpoint, _ = webhooks.create(actor, URL, EVENTS)
    rolled = together(6, lambda _: webhooks.roll_secret(actor, endpoint.id)[1])
    assert all(isinstance(secret, str) for secret in rolled), rolled
    newest, previous = webhooks.secrets_of(webhooks.get(actor, endpoint.id))
    assert {newest, previous} < set(rolled), "whoever rolled it last but one still has a secret that signs"


def test_sixteen_at_once_make_no_more_than_the_bound(actor: Actor) -> None:
    settings.use(settings.current().model_copy(update={"max_webhook_endpoints": 3}))
    webhooks.create(actor, URL, EVENTS)
    made = together(6, lambda _: webhooks.create(actor, URL, EVENTS))
    assert sum(isinstance(one, Unprocessable) for one in made) == 4
    assert len(webhooks.list_all(actor)) == 3
