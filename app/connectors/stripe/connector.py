"""Stripe as a connector: what it can do, and where each capability lives.

Stripe's library costs some 40 MB, so it is imported by the first call and not by this module (docs/adr/0009).
Card numbers never come here: a token is made in Stripe's own frames, or the shopper pays on Stripe's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.connectors import base, settling
from app.connectors.base import ConnectorContext
from app.connectors.configuring import Ping
from app.connectors.hosting import CardFrames
from app.connectors.refunding import ForeignRefund
from app.connectors.stripe import account, frames
from app.connectors.subjects import EventSubject

#: Methods that go by Stripe's page alone.
_REDIRECTS = frozenset(
    {"apple_pay", "google_pay", "paypal", "ideal", "bancontact", "klarna", "buy_now_pay_later", "promptpay"}
)


class StripeConnector:
    """Implements every capability that Stripe has and that moves or explains money."""

    name = "stripe"
    label = "Stripe"
    method_types = frozenset({"card", *_REDIRECTS})
    credentials = account.FIELDS
    shares_vault = False

    def is_deployed(self, mode: str | None = None) -> bool:
        """See `Deployable`."""
        return account.deployed(mode)

    def ping(self, context: ConnectorContext) -> Ping:
        """See `Tests`."""
        from app.connectors.stripe import ping

        return ping.ping(context)

    def hosted_types(self, context: ConnectorContext) -> frozenset[str]:
        """See `HostsPages`: everything, cards too: who has no script has no frames."""
        try:
            account.of(context)
        except account.NotConfigured:
            return frozenset()
        return self.method_types

    def card_frames(self, context: ConnectorContext) -> CardFrames | None:
        """See `FramesCards`."""
        return frames.card_frames(context)

    def frame_amount(self, amount: int, currency: str) -> int | None:
        """See `FramesCards`."""
        return frames.frame_amount(amount, currency)

    def redeem_framed(self, context: ConnectorContext, token: str, *, keep: bool) -> base.MethodToken:
        """See `FramesCards`."""
        from app.connectors.stripe import tokens

        return tokens.redeem_framed(context, token, keep=keep)

    def tokenize_redirect(self, context: ConnectorContext, method_type: str) -> base.MethodToken:
        """See `TokenizesRedirects`."""
        from app.connectors.stripe import checkout

        if method_type not in self.hosted_types(context):
            raise base.TokenRefused("payment_method_not_supported", "method")
        return base.MethodToken(checkout.TOKEN, method_type)

    def redeem(self, context: ConnectorContext, token: str) -> base.MethodToken:
        """See `RedeemsTokens`."""
        from app.connectors.stripe import tokens

        return tokens.redeem(context, token)

    def authorize(self, context: ConnectorContext, request: base.AuthorizeRequest) -> base.AuthorizeResult:
        """See `Authorizes`."""
        from app.connectors.stripe import payments

        return payments.authorize(context, request)

    def sell(self, context: ConnectorContext, request: base.AuthorizeRequest) -> base.AuthorizeResult:
        """See `Sells`."""
        from app.connectors.stripe import payments

        return payments.authorize(context, request, sale=True)

    def find(self, context: ConnectorContext, key: str, reference: str | None = None) -> base.LookupResult:
        """See `Authorizes.find`."""
        from app.connectors.stripe import payments

        return payments.find(context, key, reference)

    def capture(self, context: ConnectorContext, request: base.CaptureRequest) -> base.OperationResult:
        """See `Captures`."""
        from app.connectors.stripe import payments

        return payments.capture(context, request)

    def void(self, context: ConnectorContext, request: base.VoidRequest) -> base.OperationResult:
        """See `Voids`."""
        from app.connectors.stripe import payments

        return payments.void(context, request)

    def refund(self, context: ConnectorContext, request: base.RefundRequest) -> base.OperationResult:
        """See `Refunds`."""
        from app.connectors.stripe import refunds

        return refunds.refund(context, request)

    def find_refund(
        self, context: ConnectorContext, key: str, payment: str | None = None
    ) -> base.RefundLookupResult:
        """See `Refunds.find_refund`."""
        from app.connectors.stripe import refunds

        return refunds.find_refund(context, key, payment)

    def foreign_refunds(
        self, context: ConnectorContext, payment: str, currency: str
    ) -> tuple[ForeignRefund, ...] | base.Unknown:
        """See `TellsOfRefunds`."""
        from app.connectors.stripe import refunds

        return refunds.foreign_refunds(context, payment, currency)

    def find_dispute(self, context: ConnectorContext, reference: str) -> base.DisputeLookupResult:
        """See `Disputes`."""
        from app.connectors.stripe import disputes

        return disputes.find_dispute(context, reference)

    def submit_evidence(self, context: ConnectorContext, request: base.EvidenceRequest) -> base.DisputeResult:
        """See `Disputes`."""
        from app.connectors.stripe import disputes

        return disputes.submit_evidence(context, request)

    def accept_dispute(self, context: ConnectorContext, request: base.AcceptRequest) -> base.DisputeResult:
        """See `Disputes`."""
        from app.connectors.stripe import disputes

        return disputes.accept_dispute(context, request)

    def settlement_batches(
        self, context: ConnectorContext, since: datetime | None
    ) -> settling.SettlementBatches | base.Unknown:
        """See `Settles`."""
        from app.connectors.stripe import settlement

        return settlement.batches(context, since)

    def settlement_lines(
        self, context: ConnectorContext, batch: str, cursor: str | None
    ) -> settling.SettlementPage | base.Unknown:
        """See `Settles`."""
        from app.connectors.stripe import settlement

        return settlement.lines(context, batch, cursor)

    def subject(self, raw: bytes) -> EventSubject:
        """See `NamesSubjects`."""
        from app.connectors.stripe import webhooks

        return webhooks.subject(raw)

    def parse_webhook(
        self, raw: bytes, headers: Mapping[str, str], secrets: list[str]
    ) -> base.InboundEvent | None:
        """See `ReceivesWebhooks`."""
        from app.connectors.stripe import webhooks

        return webhooks.parse(raw, headers, secrets)
