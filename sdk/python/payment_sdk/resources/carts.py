"""`client.checkout.carts`: sessions of a cart, from totals to the sale (the checkout surface)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from payment_sdk import _operations as op
from payment_sdk._operations import Operation
from payment_sdk.errors import InvalidResponseError
from payment_sdk.models.checkout import (
    Calculation,
    CartSession,
    EmbedToken,
    Finalized,
    HostedUrl,
    Rollback,
    ShippingOption,
    TimelineEntry,
    TotalsState,
    Validation,
)
from payment_sdk.models.payments import JobAccepted
from payment_sdk.pages import Page
from payment_sdk.params import Address, CartSnapshot, Customer, Owner, SessionOptions
from payment_sdk.resources.base import M, Resource, given

_SESSION = "/v1/checkout/sessions/{checkout_id}"
_CREATE = op.post("CK-001", "/v1/checkout/sessions")
_GET = op.get("CK-002", _SESSION)
_UPDATE = op.patch("CK-003", _SESSION)
_CANCEL = op.delete("CK-004", _SESSION)
_CUSTOMER = op.post("CK-006", _SESSION + "/customer")
_SHIPPING_ADDRESS = op.post("CK-007", _SESSION + "/shipping-address")
_BILLING_ADDRESS = op.post("CK-008", _SESSION + "/billing-address")
_SHIPPING_OPTIONS = op.get("CK-011", _SESSION + "/shipping-options")
_SELECT_SHIPPING = op.post("CK-012", _SESSION + "/select-shipping")
_CALCULATE = op.post("CK-014", _SESSION + "/calculate")
_TOTALS = op.get("CK-015", _SESSION + "/totals")
_VALIDATE = op.post("CK-016", _SESSION + "/validate")
_FINALIZE = op.post("CK-035", _SESSION + "/finalize")
_FINALIZE_ASYNC = op.post("CK-036", _SESSION + "/finalize/async")
_ROLLBACK = op.post("CK-038", _SESSION + "/finalize/rollback")
_HOSTED_URL = op.post("CK-054", _SESSION + "/hosted-url")
_EMBED_TOKEN = op.get("CK-055", _SESSION + "/embed-token")
_TIMELINE = op.get("CK-066", _SESSION + "/timeline")


class Carts(Resource):
    """Sessions of a cart."""

    def create(
        self,
        *,
        cart_id: str | None = None,
        cart_snapshot: CartSnapshot | None = None,
        owner: Owner | None = None,
        currency: str | None = None,
        channel: str | None = None,
        customer: Customer | None = None,
        options: SessionOptions | None = None,
        promotion_codes: Sequence[str] | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> CartSession:
        """Make a session of a cart that is kept elsewhere (`cart_id`) or comes along (`cart_snapshot`)."""
        body = given(
            cart_id=cart_id,
            cart_snapshot=cart_snapshot,
            owner=owner,
            currency=currency,
            channel=channel,
            customer=customer,
            options=options,
            promotion_codes=list(promotion_codes) if promotion_codes is not None else None,
            success_url=success_url,
            cancel_url=cancel_url,
            metadata=metadata,
        )
        return self._one(_CREATE, CartSession, body=body, key=idempotency_key)

    def get(self, checkout_id: str) -> CartSession:
        """A session, whole."""
        return self._one(_GET, CartSession, _GET.at(checkout_id=checkout_id))

    def update(
        self,
        checkout_id: str,
        *,
        customer: Customer | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl_seconds: int | None = None,
        expires_at: datetime | None = None,
        promotion_codes: Sequence[str] | None = None,
        version: int | None = None,
        idempotency_key: str | None = None,
    ) -> CartSession:
        """Change what is given; with `version`, only if nobody else has changed it since."""
        body = given(
            customer=customer,
            metadata=metadata,
            ttl_seconds=ttl_seconds,
            expires_at=expires_at,
            promotion_codes=list(promotion_codes) if promotion_codes is not None else None,
            version=version,
        )
        return self._on(_UPDATE, CartSession, checkout_id, body, idempotency_key)

    def cancel(
        self, checkout_id: str, *, release_inventory: bool = False, idempotency_key: str | None = None
    ) -> None:
        """End a session that is not sold."""
        path = _CANCEL.at(checkout_id=checkout_id)
        self._nothing(_CANCEL, path, query={"release_inventory": release_inventory}, key=idempotency_key)

    def set_customer(
        self,
        checkout_id: str,
        *,
        email: str | None = None,
        phone: str | None = None,
        customer_id: str | None = None,
        name: str | None = None,
        save_for_later: bool | None = None,
        idempotency_key: str | None = None,
    ) -> CartSession:
        """Say who buys."""
        body = given(
            email=email, phone=phone, customer_id=customer_id, name=name, save_for_later=save_for_later
        )
        return self._on(_CUSTOMER, CartSession, checkout_id, body, idempotency_key)

    def set_shipping_address(
        self, checkout_id: str, address: Address, *, idempotency_key: str | None = None
    ) -> CartSession:
        """Say where it goes."""
        return self._on(_SHIPPING_ADDRESS, CartSession, checkout_id, address, idempotency_key)

    def set_billing_address(
        self, checkout_id: str, address: Address, *, idempotency_key: str | None = None
    ) -> CartSession:
        """Say where the bill goes."""
        return self._on(_BILLING_ADDRESS, CartSession, checkout_id, address, idempotency_key)

    def shipping_options(
        self, checkout_id: str, *, include_estimated_delivery_dates: bool = False
    ) -> list[ShippingOption]:
        """The ways of delivery to the session's address."""
        query = {"include_estimated_delivery_dates": include_estimated_delivery_dates}
        path = _SHIPPING_OPTIONS.at(checkout_id=checkout_id)
        reply = self._caller.call(_SHIPPING_OPTIONS, path, query=query)
        found = reply.value.get("shipping_options") if isinstance(reply.value, dict) else None
        if not isinstance(found, list):
            raise InvalidResponseError("Not a list of shipping options")
        return [ShippingOption.of(option, reply.info) for option in found]

    def select_shipping(
        self,
        checkout_id: str,
        *,
        shipping_option_id: str,
        carrier: str | None = None,
        service_code: str | None = None,
        idempotency_key: str | None = None,
    ) -> CartSession:
        """Choose one; totals are computed anew."""
        body = given(shipping_option_id=shipping_option_id, carrier=carrier, service_code=service_code)
        return self._on(_SELECT_SHIPPING, CartSession, checkout_id, body, idempotency_key)

    def calculate(
        self,
        checkout_id: str,
        *,
        force: bool = False,
        timeout_ms: int | None = None,
        idempotency_key: str | None = None,
    ) -> Calculation:
        """Compute and keep the totals, line by line."""
        body = given(force=force, timeout_ms=timeout_ms)
        return self._on(_CALCULATE, Calculation, checkout_id, body, idempotency_key)

    def totals(self, checkout_id: str, *, fresh: bool = False) -> TotalsState:
        """The last totals; with `fresh` computed anew."""
        path = _TOTALS.at(checkout_id=checkout_id)
        return self._one(_TOTALS, TotalsState, path, query={"fresh": fresh})

    def validate(self, checkout_id: str) -> Validation:
        """Whether it could be sold as it is; nothing is changed."""
        return self._on(_VALIDATE, Validation, checkout_id, {}, None)

    def finalize(
        self,
        checkout_id: str,
        *,
        create_order: bool | None = None,
        order_service_hint: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Finalized:
        """Sell it: capture what is held, take the goods, make order and receipt."""
        body = given(create_order=create_order, order_service_hint=order_service_hint)
        return self._on(_FINALIZE, Finalized, checkout_id, body, idempotency_key)

    def finalize_later(
        self,
        checkout_id: str,
        *,
        create_order: bool | None = None,
        order_service_hint: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> JobAccepted:
        """The same in the background."""
        body = given(create_order=create_order, order_service_hint=order_service_hint)
        return self._on(_FINALIZE_ASYNC, JobAccepted, checkout_id, body, idempotency_key)

    def rollback(self, checkout_id: str, *, idempotency_key: str | None = None) -> Rollback:
        """Undo a sale: money, goods, order and receipt, step by step."""
        return self._on(_ROLLBACK, Rollback, checkout_id, {}, idempotency_key)

    def hosted_url(self, checkout_id: str, *, idempotency_key: str | None = None) -> HostedUrl:
        """The page to send the shopper to."""
        return self._on(_HOSTED_URL, HostedUrl, checkout_id, {}, idempotency_key)

    def embed_token(self, checkout_id: str) -> EmbedToken:
        """What opens the session in a frame."""
        return self._one(_EMBED_TOKEN, EmbedToken, _EMBED_TOKEN.at(checkout_id=checkout_id))

    def timeline(
        self, checkout_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[TimelineEntry]:
        """What has happened to a session."""
        path = _TIMELINE.at(checkout_id=checkout_id)
        return self._page(_TIMELINE, TimelineEntry, path, query=given(limit=limit, cursor=cursor))

    def _on(
        self,
        operation: Operation,
        returns: type[M],
        checkout_id: str,
        body: Mapping[str, Any],
        key: str | None,
    ) -> M:
        return self._one(operation, returns, operation.at(checkout_id=checkout_id), body=body, key=key)
