"""What an exception of Stripe's library proves.

A card error is a decline. What Stripe refuses before it begins (limits, keys, parameters) was not executed,
as was what never left. Everything else (no answer in time, a broken one, a 5xx, a conflict of keys) says
nothing about what happened.
"""

from __future__ import annotations

import stripe

from app.connectors import base
from app.connectors.stripe import mapping
from app.connectors.stripe.account import NotConfigured
from app.connectors.stripe.amounts import NotChargeable, NotCountable
from app.connectors.stripe.api import details
from app.connectors.stripe.transport import never_left

__all__ = ["Failure", "NotConfigured", "code_of", "is_missing", "unknown", "verdict"]

#: All that a call may raise.
Failure = (stripe.StripeError, NotConfigured, NotChargeable, NotCountable)

#: Refusals that are about this gateway and not about the card: another one may well take the payment.
_ELSEWHERE = frozenset(
    {
        "account_invalid",
        "amount_too_large",
        "amount_too_small",
        "invalid_currency",
        "payment_method_currency_mismatch",
        "testmode_charges_only",
    }
)


def verdict(
    error: Exception, refusal: str, *, another_may: bool = False
) -> base.Declined | base.NotExecuted | base.Unknown:
    """What is known after a call that failed; `refusal` is our code for a plain no.

    `another_may` says that another gateway could do it, so that a no about this one is `NotExecuted`.
    """
    match error:
        case NotConfigured() | NotChargeable():
            return base.NotExecuted(str(error))
        case NotCountable():
            return base.Unknown(str(error))
        case stripe.CardError():
            return _declined(error)
        case stripe.RateLimitError():
            return base.NotExecuted("rate limited")
        case stripe.AuthenticationError() | stripe.PermissionError():
            return base.NotExecuted("credentials refused")
        case stripe.IdempotencyError():
            return base.Unknown("key used for another request")
        case stripe.InvalidRequestError() if another_may and details(error).get("code") in _ELSEWHERE:
            return base.NotExecuted(str(details(error)["code"]))
        case stripe.InvalidRequestError():
            return base.Declined(refusal)
        case stripe.APIConnectionError() if never_left(error):
            return base.NotExecuted("not reached")
        case stripe.APIConnectionError():
            return base.Unknown("no answer")
        case stripe.StripeError():
            return base.Unknown(f"status {error.http_status}")
    raise error


def unknown(error: Exception) -> base.Unknown:
    """A look-up that failed says nothing."""
    found = verdict(error, "refused")
    return (
        found if isinstance(found, base.Unknown) else base.Unknown(str(getattr(found, "reason", "refused")))
    )


def code_of(error: Exception, known: frozenset[str]) -> str | None:
    """Stripe's code of an error, where it is one of these."""
    code = details(error).get("code") if isinstance(error, stripe.StripeError) else None
    return code if code in known else None


def is_missing(error: Exception) -> bool:
    """Whether Stripe answered that there is no such object for this account."""
    return isinstance(error, stripe.InvalidRequestError) and error.http_status == 404


def _declined(error: stripe.CardError) -> base.Declined:
    said = details(error)
    intent = said.get("payment_intent") or {}
    return base.Declined(
        mapping.decline_code(said), intent.get("id"), base.AcquirerFacts(said.get("network_decline_code"))
    )
