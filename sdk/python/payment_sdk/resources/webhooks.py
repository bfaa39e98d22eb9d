"""`client.webhooks`: where events go, and whether a delivery is genuine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from payment_sdk import _operations as op
from payment_sdk import webhooks
from payment_sdk.models.webhooks import (
    Delivery,
    DeliveryDetail,
    Replay,
    RolledSecret,
    WebhookEndpoint,
    WebhookEvent,
    WebhookTrial,
)
from payment_sdk.pages import Page
from payment_sdk.resources.base import Resource, given

_LIST = op.get("PY-053", "/v1/payments/webhooks")
_CREATE = op.post("PY-054", "/v1/payments/webhooks")
_DELETE = op.delete("PY-055", "/v1/payments/webhooks/{webhook_id}")
_TEST = op.post("PY-056", "/v1/payments/webhooks/test")
_GET = op.get("OP-17-get", "/v1/payments/webhooks/{webhook_id}")
_UPDATE = op.patch("OP-17-update", "/v1/payments/webhooks/{webhook_id}")
_ROLL = op.post("OP-17-roll", "/v1/payments/webhooks/{webhook_id}/roll-secret")
_DELIVERIES = op.get("OP-17-deliveries", "/v1/payments/webhooks/deliveries")
_DELIVERY = op.get("OP-17-delivery", "/v1/payments/webhooks/deliveries/{delivery_id}")
_RESEND = op.post("OP-17-resend", "/v1/payments/webhooks/deliveries/{delivery_id}/replay")
_REPLAY = op.post("OP-17-replay", "/v1/payments/webhooks/replay")


class Webhooks(Resource):
    """Webhook endpoints."""

    def create(
        self,
        *,
        url: str,
        events: Sequence[str],
        secret: str | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookEndpoint:
        """Add an endpoint. The answer alone has `secret`, one of your own or a `whsec_…`: keep it."""
        body = given(url=url, events=list(events), secret=secret, description=description)
        return self._one(_CREATE, WebhookEndpoint, body=body, key=idempotency_key)

    def list(self) -> Page[WebhookEndpoint]:
        """The merchant's endpoints in this mode."""
        return self._page(_LIST, WebhookEndpoint)

    def get(self, webhook_id: str) -> WebhookEndpoint:
        """An endpoint, and whether it is in trouble."""
        return self._one(_GET, WebhookEndpoint, _GET.at(webhook_id=webhook_id))

    def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        status: Literal["active", "disabled"] | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookEndpoint:
        """Change what is given; `status` switches an endpoint off, and on again."""
        names = [*events] if events is not None else None
        body = given(url=url, events=names, description=description, status=status)
        path = _UPDATE.at(webhook_id=webhook_id)
        return self._one(_UPDATE, WebhookEndpoint, path, body=body, key=idempotency_key)

    def roll_secret(
        self, webhook_id: str, *, secret: str | None = None, idempotency_key: str | None = None
    ) -> RolledSecret:
        """Give an endpoint another secret; for a day every delivery is signed with both."""
        path, body = _ROLL.at(webhook_id=webhook_id), given(secret=secret)
        return self._one(_ROLL, RolledSecret, path, body=body, key=idempotency_key)

    def deliveries(
        self,
        *,
        webhook_id: str | None = None,
        event_id: str | None = None,
        status: Literal["pending", "delivered", "failed"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Delivery]:
        """What was sent, and is being sent, newest first."""
        query = given(webhook_id=webhook_id, event_id=event_id, status=status, limit=limit, cursor=cursor)
        return self._page(_DELIVERIES, Delivery, query=query)

    def delivery(self, delivery_id: str) -> DeliveryDetail:
        """A delivery with what each try brought."""
        return self._one(_DELIVERY, DeliveryDetail, _DELIVERY.at(delivery_id=delivery_id))

    def resend(self, delivery_id: str, *, idempotency_key: str | None = None) -> Delivery:
        """Send an event again, under the same event id."""
        return self._one(_RESEND, Delivery, _RESEND.at(delivery_id=delivery_id), key=idempotency_key)

    def replay(
        self,
        webhook_id: str,
        *,
        since: datetime,
        until: datetime,
        which: Literal["failed", "missing", "all"] | None = None,
        events: Sequence[str] | None = None,
        dry_run: bool | None = None,
        cursor: str | None = None,
        idempotency_key: str | None = None,
    ) -> Replay:
        """Send the events of a span of time again, at most 1,000 a call; as a dry run only count them."""
        body = given(
            webhook_id=webhook_id,
            since=since,
            until=until,
            which=which,
            events=[*events] if events is not None else None,
            dry_run=dry_run,
            cursor=cursor,
        )
        return self._one(_REPLAY, Replay, body=body, key=idempotency_key)

    def delete(self, webhook_id: str, *, idempotency_key: str | None = None) -> None:
        """Take an endpoint away."""
        self._nothing(_DELETE, _DELETE.at(webhook_id=webhook_id), key=idempotency_key)

    def test(self, webhook_id: str, *, event: str, idempotency_key: str | None = None) -> WebhookTrial:
        """Send an endpoint a test event now, and see what it answers."""
        body = {"webhook_id": webhook_id, "event": event}
        return self._one(_TEST, WebhookTrial, body=body, key=idempotency_key)

    @staticmethod
    def verify(
        payload: bytes | str,
        headers: Mapping[str, str],
        secret: str | Sequence[str],
        tolerance: float = webhooks.TOLERANCE,
    ) -> WebhookEvent:
        """The event of a delivery, once its signature and age are proven (`payment_sdk.webhooks.verify`)."""
        return webhooks.verify(payload, headers, secret, tolerance)
