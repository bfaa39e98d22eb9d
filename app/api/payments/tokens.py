"""Client-side tokenisation (OP-37): a browser hands over details and gets a token that makes one method.

Test mode alone: in live mode the gateway's own script does this, in its own frames (security.md).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.connectors.base import CardDetails
from app.connectors.vaulting import BankDetails, ClientToken, MethodDetails, WalletDetails
from app.domain.actor import Actor, ActorKind
from app.domain.errors import InvalidRequest
from app.services.payments import methods
from app.web.schemas import Body, Instant, Integer, View
from app.web.surface import SERVER, Idempotency

#: Where numbers stand, below a body or a part of it.
NUMBER_FIELDS = ("card.number", "card.cvc", "bank_account.account_number", "sepa_debit.iban")
WALLETS = ("apple_pay", "google_pay", "paypal")


class CardFields(Body):
    """A test card as typed."""

    number: str = Field(min_length=1, max_length=40, repr=False)
    exp_month: Integer = Field(ge=1, le=12)
    exp_year: Integer = Field(ge=0, le=9999)
    cvc: str | None = Field(None, max_length=8, repr=False)
    name: str | None = Field(None, max_length=120)
    postal_code: str | None = Field(None, max_length=20)

    def details(self) -> CardDetails:
        """What a vault takes."""
        return CardDetails(
            self.number, self.exp_month, self.exp_year, self.cvc or None, self.name, self.postal_code
        )


class AccountFields(Body):
    """A test account (ACH)."""

    routing_number: str = Field(pattern="^[0-9]{9}$")
    account_number: str = Field(min_length=1, max_length=34, repr=False)
    account_holder_name: str | None = Field(None, max_length=120)


class IbanFields(Body):
    """A test account (SEPA)."""

    iban: str = Field(min_length=1, max_length=42, repr=False)
    account_holder_name: str | None = Field(None, max_length=120)


class Details(Body):
    """Details of one method; the field has the name of its type."""

    card: CardFields | None = None
    bank_account: AccountFields | None = None
    sepa_debit: IbanFields | None = None

    def given(self) -> tuple[str, MethodDetails] | None:
        """Which field was sent, and what a vault takes of it.

        Raises:
            InvalidRequest: more than one.
        """
        found: list[tuple[str, MethodDetails]] = []
        if self.card is not None:
            found.append(("card", self.card.details()))
        if (account := self.bank_account) is not None:
            number = BankDetails(account.account_number, account.routing_number, account.account_holder_name)
            found.append(("bank_account", number))
        if (iban := self.sepa_debit) is not None:
            found.append(("sepa_debit", BankDetails(iban.iban, None, iban.account_holder_name)))
        if len(found) > 1:
            raise InvalidRequest("Send the details of one method", field=found[1][0])
        return found[0] if found else None


class TokenCreate(Details):
    """What the customer typed; a wallet is named by its `type` alone."""

    type: Literal["card", "bank_account", "sepa_debit", "apple_pay", "google_pay", "paypal"]

    def source(self) -> tuple[str, MethodDetails]:
        """Where the details stand, and the details.

        Raises:
            InvalidRequest: they are missing, or another type's.
        """
        given = self.given()
        if given is None and self.type in WALLETS:
            return "type", WalletDetails(self.type)
        if given is None or given[0] != self.type:
            raise InvalidRequest(f"{self.type} is required", code="missing_field", field=self.type)
        return given


class TokenView(View):
    """A token, and what may be shown of what it stands for."""

    token: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    single_use: bool
    expires_at: Instant
    livemode: bool

    @classmethod
    def of(cls, issued: ClientToken) -> TokenView:
        """The view of a token; only test mode has them."""
        shown = issued.method
        return cls.model_construct(
            token=issued.token,
            type=shown.type,
            brand=shown.brand,
            last4=shown.last4,
            exp_month=shown.exp_month,
            exp_year=shown.exp_year,
            single_use=True,
            expires_at=issued.expires_at,
            livemode=False,
        )


@surface.post(
    "/tokens",
    "OP-37",
    body=TokenCreate,
    returns=TokenView,
    status=201,
    auth=SERVER | {ActorKind.PUBLISHABLE_KEY, ActorKind.CLIENT_TOKEN},
    permission="methods:write",
    idempotency=Idempotency.LEASED,
    card_fields=NUMBER_FIELDS,
)
def create(actor: Actor, body: TokenCreate) -> TokenView:
    """Turn a test card, account or wallet into a single-use token."""
    place, details = body.source()
    return TokenView.of(methods.issue_token(actor, details, place))
