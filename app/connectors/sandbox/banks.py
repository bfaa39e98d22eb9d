"""The test accounts of the sandbox and what they do (sandbox.md): the field's published values."""

from __future__ import annotations

from dataclasses import dataclass

from app.connectors.base import TokenRefused
from app.connectors.sandbox.cards import Behaviour
from app.connectors.vaulting import BankDetails

#: The one routing number of the sandbox's bank (ACH).
ROUTING_NUMBER = "110000000"

_B = Behaviour


@dataclass(frozen=True, slots=True)
class TestAccount:
    """An account, what a debit from it does, and the detail of it."""

    __test__ = False

    number: str
    behaviour: Behaviour
    description: str
    detail: str = ""


ACCOUNTS: tuple[TestAccount, ...] = (
    TestAccount("000123456789", _B.APPROVE, "Succeeds (ACH)"),
    TestAccount("000222222227", _B.DECLINE, "Insufficient funds (ACH)", "insufficient_funds"),
    TestAccount("000555555559", _B.DISPUTE, "Disputed as fraudulent (ACH)", "fraudulent"),
    TestAccount("000000000009", _B.STAYS_PENDING, "Stays processing (ACH)"),
    TestAccount("AT611904300234573201", _B.APPROVE, "Succeeds (SEPA)"),
    TestAccount("AT861904300235473202", _B.DECLINE, "Fails (SEPA)", "generic_decline"),
)
_BY_NUMBER = {account.number: account for account in ACCOUNTS}


def find(details: BankDetails) -> TestAccount:
    """The test account that these details name.

    Raises:
        TokenRefused: there is none; real accounts are not taken.
    """
    number = details.number.replace(" ", "").replace("-", "").upper()
    known = _BY_NUMBER.get(number)
    is_iban = details.routing_number is None
    if details.routing_number not in (None, ROUTING_NUMBER):
        raise TokenRefused("test_account_required", "routing_number")
    if known is None or number[:2].isalpha() != is_iban:
        raise TokenRefused("test_account_required", "iban" if is_iban else "account_number")
    return known
