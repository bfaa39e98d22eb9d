"""`client.webhooks`: where events go, and whether a delivery is genuine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from payment_sdk import _operations as op
from payment_sdk import webhooks
from payment_sdk.models.webhooks import WebhookEndpoint, WebhookEvent, WebhookTrial
from payment_sdk.pages import Page
from payment_sdk.resources.base import Resource, given

_LIST = op.get("PY-053", "/v1/payments/webhooks")
_CREATE = op.post("PY-054", "/v1/payments/webhooks")
_DELETE = op.delete("PY-055", "/v1/payments/webhooks/{webhook_id}")
_TEST = op.post("PY-056", "/v1/payments/webhooks/test")


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
