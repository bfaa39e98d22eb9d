"""The details of a payment method as a body names them, on whichever surface: they go to a gateway's vault.

Contract: PY-001, OP-37 and CK-031. Raw details are for test mode; nothing here is stored or logged.
"""

from __future__ import annotations

from pydantic import Field

from app.connectors.base import CardDetails
from app.connectors.vaulting import BankDetails, MethodDetails
from app.domain.errors import InvalidRequest
from app.web.schemas import Body, Integer

#: Where numbers stand, below a body or a part of it.
NUMBER_FIELDS = ("card.number", "card.cvc", "bank_account.account_number", "sepa_debit.iban")


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
