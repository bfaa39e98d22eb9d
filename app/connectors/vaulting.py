"""What a gateway's vault can do beside keeping cards: client tokens, accounts, proofs, 3-D Secure look-up.

Capability protocols like those of base.py; a connector implements those that its gateway has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from app.connectors.base import CardDetails, ConnectorContext, MethodToken

#: Methods that draw on an account; their outcome is known later.
DEBIT_TYPES = frozenset({"bank_account", "sepa_debit"})


@dataclass(frozen=True, slots=True)
class BankDetails:
    """An account as typed: routing and account number, or an IBAN. Lives in memory only, like a card."""

    number: str
    routing_number: str | None = None
    holder_name: str | None = None

    def __repr__(self) -> str:
        return "BankDetails(…)"

    @property
    def type(self) -> str:
        """The method that such an account is: an IBAN needs no routing number."""
        return "sepa_debit" if self.routing_number is None else "bank_account"


@dataclass(frozen=True, slots=True)
class WalletDetails:
    """A method without details of its own: its wallet or bank asks the shopper (`apple_pay`, `paypal` …)."""

    type: str


MethodDetails = CardDetails | BankDetails | WalletDetails


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What a browser brings to its server instead of details: good for one method, until `expires_at`."""

    token: str
    method: MethodToken
    expires_at: datetime


class ProofStatus(StrEnum):
    """How far the proof that an account belongs to the customer has come."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as the gateway has it; `tries_left` where it takes a limited number of answers."""

    status: ProofStatus
    reason: str | None = None
    tries_left: int | None = None


class Enrolment(StrEnum):
    """What the directory server says of a card."""

    ENROLLED = "enrolled"
    NOT_ENROLLED = "not_enrolled"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class ThreeDSLookup:
    """Whether a card takes part in 3-D Secure, and what its access control server wants."""

    enrolment: Enrolment
    fingerprint_required: bool = False
    acs_url: str | None = None


@runtime_checkable
class TokenizesBankAccounts(Protocol):
    """Turns account details into a vault token."""

    def tokenize_bank_account(self, context: ConnectorContext, account: BankDetails) -> MethodToken:
        """Keep the account at the gateway.

        Raises:
            TokenRefused: not an account that this gateway takes.
        """
        ...


@runtime_checkable
class IssuesClientTokens(Protocol):
    """Lets a browser hand over details for a token (the sandbox; elsewhere the gateway's own script does)."""

    def issue_client_token(self, context: ConnectorContext, details: MethodDetails) -> ClientToken:
        """Keep the details and give a token for them.

        Raises:
            TokenRefused: the details are not good.
        """
        ...


@runtime_checkable
class RedeemsTokens(Protocol):
    """Knows what a token stands for that a client or the gateway's script made."""

    def redeem(self, context: ConnectorContext, token: str) -> MethodToken:
        """What the token stands for; asked again, the answer is the same: the caller lets it count once.

        Raises:
            TokenRefused: `token_not_found` or `token_expired`.
        """
        ...


@runtime_checkable
class VerifiesBankAccounts(Protocol):
    """Proves that an account belongs to the customer."""

    def send_deposits(self, context: ConnectorContext, token: str, key: str) -> Proof:
        """Send two small deposits; the same key never sends twice."""
        ...

    def check_deposits(self, context: ConnectorContext, key: str, amounts: tuple[int, int]) -> Proof:
        """Compare what the customer saw (minor units) with what was sent under `key`; the gateway counts."""
        ...

    def verify_account(self, context: ConnectorContext, token: str) -> Proof:
        """Ask the bank at once."""
        ...


@runtime_checkable
class LooksUpThreeDS(Protocol):
    """Asks the directory server about a card."""

    def look_up_three_ds(self, context: ConnectorContext, token: str) -> ThreeDSLookup:
        """Whether the card is enrolled."""
        ...
