"""What a gateway can do, as small capability protocols, and what can come back from it.

A connector implements the protocols that its gateway supports and no others. Every call carries our own
idempotency key. A result is a fact or it is `Unknown`: a time-out is never a decline (reliability.md 2-4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from app.domain.lifecycles import disputes


@dataclass(frozen=True, slots=True)
class ConnectorContext:
    """On whose behalf a gateway is called: the merchant, the mode, our public address, its credentials.

    `account` is the id of the merchant's connector; None: the connector that works without one.
    """

    tenant_id: str
    mode: str
    base_url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class CardDetails:
    """A card as typed into the sandbox's form. Lives in memory only; never stored, logged or echoed."""

    number: str
    exp_month: int
    exp_year: int
    cvc: str | None = None
    name: str | None = None
    postal_code: str | None = None


@dataclass(frozen=True, slots=True)
class MethodToken:
    """What the gateway's vault made of a method; `connector_id` where only that account can charge it."""

    token: str
    type: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    connector_id: str | None = None


class TokenRefused(Exception):
    """The gateway would not take these details; `code` is a decline code, `field` the form field."""

    def __init__(self, code: str, field_name: str) -> None:
        super().__init__(code)
        self.code = code
        self.field_name = field_name


class ActionType(StrEnum):
    """Stored `next_action` types (OP-22)."""

    REDIRECT_TO_URL = "redirect_to_url"
    THREE_DS_CHALLENGE = "3ds_challenge"
    QR_CODE = "qr_code"
    AWAITING_WEBHOOK = "awaiting_webhook"


@dataclass(frozen=True, slots=True)
class NextAction:
    """What the shopper has to do next, and by when; `details` is what a transfer needs (IBAN, reference)."""

    type: ActionType
    url: str | None = None
    qr_payload: str | None = None
    challenge: Mapping[str, Any] | None = None
    expires_at: datetime | None = None
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AcquirerFacts:
    """What the acquirer reported beside the outcome."""

    response_code: str | None = None
    avs_result: str | None = None
    cvv_result: str | None = None
    three_ds_result: str | None = None
    risk_score: int | None = None
    acquirer: str | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """It was done, for exactly this amount; `reference` is the gateway's own id.

    `taken`: a payment that was asked for is captured already.
    """

    reference: str
    amount: int
    currency: str
    facts: AcquirerFacts = AcquirerFacts()
    expires_at: datetime | None = None
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """It was definitely refused, and no money moved."""

    code: str
    reference: str | None = None
    facts: AcquirerFacts = AcquirerFacts()


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The shopper has to act first (3DS, bank page, QR)."""

    reference: str
    action: NextAction


@dataclass(frozen=True, slots=True)
class Pending:
    """The gateway has it and will tell later; `action` is what the shopper does meanwhile (a transfer)."""

    reference: str
    action: NextAction | None = None


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """The gateway provably did not do it (refused connection, documented answer): fail-over is allowed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows (time-out, broken answer): ask later by our key; never fail over, never decline."""

    reason: str


AuthorizeResult = Approved | Declined | ActionRequired | Pending | NotExecuted | Unknown
OperationResult = Approved | Declined | Pending | NotExecuted | Unknown


class GatewayStatus(StrEnum):
    """Where a payment stands at the gateway."""

    ACTION_REQUIRED = "action_required"
    PENDING = "pending"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    DECLINED = "declined"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class GatewayPayment:
    """A payment as the gateway has it now, by our attempt's authorise key."""

    reference: str
    status: GatewayStatus
    amount: int
    currency: str
    captured: int = 0
    refunded: int = 0
    decline_code: str | None = None
    action: NextAction | None = None
    facts: AcquirerFacts = AcquirerFacts()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotFound:
    """The gateway answered, and has never heard of it: it provably did not execute."""


LookupResult = GatewayPayment | NotFound | Unknown
RefundLookupResult = Approved | Declined | Pending | NotFound | Unknown


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """An authorisation. `key` is our idempotency key (`authorize_{attempt_id}`); amounts in minor units."""

    key: str
    attempt_id: str
    amount: int
    currency: str
    token: str
    method_type: str
    return_url: str
    description: str | None = None
    force_three_ds: bool = False
    off_session: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """A capture of an authorised payment; `amount` may be less than was authorised (then it is final)."""

    key: str
    reference: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class VoidRequest:
    """The release of an authorisation."""

    key: str
    reference: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A refund of part or all of a captured payment."""

    key: str
    reference: str
    amount: int
    currency: str
    reason: str | None = None


@runtime_checkable
class Connector(Protocol):
    """Every connector: its registry name, the methods it takes, how a person calls it."""

    name: str
    label: str
    method_types: frozenset[str]


@runtime_checkable
class TokenizesCards(Protocol):
    """Turns card details into a vault token (the sandbox only: live cards go to the gateway's frames)."""

    def tokenize(self, context: ConnectorContext, card: CardDetails) -> MethodToken:
        """Keep the card at the gateway.

        Raises:
            TokenRefused: not a number, date or code that this gateway takes.
        """


@runtime_checkable
class TokenizesRedirects(Protocol):
    """Makes a one-off token for a redirect or QR method (`ideal`, `paypal` …)."""

    def tokenize_redirect(self, context: ConnectorContext, method_type: str) -> MethodToken:
        """Make a method token of that type.

        Raises:
            TokenRefused: the gateway does not take this type.
        """


@runtime_checkable
class Authorizes(Protocol):
    """Asks for money, and can say later what became of it."""

    def authorize(self, context: ConnectorContext, request: AuthorizeRequest) -> AuthorizeResult:
        """Ask for an authorisation; the same key never authorises twice."""

    def find(self, context: ConnectorContext, key: str, reference: str | None = None) -> LookupResult:
        """Where the payment stands that was asked for under `key`; `reference` is the gateway's id of it."""


@runtime_checkable
class Captures(Protocol):
    """Takes authorised money."""

    def capture(self, context: ConnectorContext, request: CaptureRequest) -> OperationResult:
        """Capture; the same key never captures twice."""


@runtime_checkable
class Voids(Protocol):
    """Releases authorised money."""

    def void(self, context: ConnectorContext, request: VoidRequest) -> OperationResult:
        """Release; releasing what is released is approved again."""


@runtime_checkable
class Refunds(Protocol):
    """Gives captured money back."""

    def refund(self, context: ConnectorContext, request: RefundRequest) -> OperationResult:
        """Refund; the same key never refunds twice."""

    def find_refund(
        self, context: ConnectorContext, key: str, payment: str | None = None
    ) -> RefundLookupResult:
        """What became of the refund asked for under `key`; `payment` is the gateway's id of what it is of."""


GatewayDisputeStatus = disputes.Status  # a `warning` holds no money; a chargeback that is withdrawn is `won`
DisputeKind = disputes.Kind


@dataclass(frozen=True, slots=True)
class GatewayDispute:
    """A dispute as the gateway has it now; `fee` is what it keeps for it, and may fall when it is won."""

    reference: str
    payment_reference: str
    kind: DisputeKind
    status: GatewayDisputeStatus
    amount: int
    currency: str
    reason_code: str
    received_at: datetime
    evidence_due_at: datetime | None = None
    fee: int = 0


@dataclass(frozen=True, slots=True)
class EvidenceDocument:
    """A document (`pdf`, `receipt` …): its `content`, or the `url` where the merchant has it."""

    type: str
    content: bytes | None = field(default=None, repr=False)
    content_type: str | None = None
    filename: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """All that the merchant has to say about a dispute, sent once and for good."""

    key: str
    reference: str
    text: str
    documents: tuple[EvidenceDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class AcceptRequest:
    """The merchant gives in: a dispute is lost by it, a warning is closed."""

    key: str
    reference: str


DisputeLookupResult = GatewayDispute | NotFound | Unknown
DisputeResult = DisputeLookupResult | Declined


@runtime_checkable
class Disputes(Protocol):
    """Tells of disputes, takes evidence, and lets the merchant give in."""

    def find_dispute(self, context: ConnectorContext, reference: str) -> DisputeLookupResult:
        """The dispute with the gateway's own id `reference`."""

    def submit_evidence(self, context: ConnectorContext, request: EvidenceRequest) -> DisputeResult:
        """Send evidence; the same key never sends twice."""

    def accept_dispute(self, context: ConnectorContext, request: AcceptRequest) -> DisputeResult:
        """Give in; giving in again changes nothing."""


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """A verified event from a gateway. It is a hint: the truth is fetched again (reliability.md 8)."""

    event_id: str
    type: str
    attempt_key: str | None
    refund_key: str | None
    payload: Mapping[str, Any]
    dispute_reference: str | None = None


@runtime_checkable
class ReceivesWebhooks(Protocol):
    """Verifies and reads what the gateway sends us."""

    def parse_webhook(
        self, raw: bytes, headers: Mapping[str, str], secrets: list[str]
    ) -> InboundEvent | None:
        """The event in a signed body, or None when the signature is not good."""
