"""What a shopper reads where a service refused something, in their language.

Errors carry a stable code and an English message. English readers get the message; others get the words of
the code, else those of the kind of error, else those of the field: less exact, never English.
"""

from __future__ import annotations

from flask_babel import gettext

from app.domain.errors import DomainError, RateLimited
from app.domain.languages import FALLBACK
from app.kit.words import N_
from app.web.languages import language

_BY_CODE = {
    "csrf_failed": N_("This form has expired. Go back, reload the page and try again."),
    "quote_changed": N_("The total has changed. Look at the new total before you pay."),
    "totals_changed": N_("The total has changed. Look at the new total before you pay."),
    "promotion_invalid": N_("This promotion code isn't valid."),
    "giftcard_invalid": N_("This gift card can't be used here. Check its code."),
    "giftcard_empty": N_("Nothing is left on this gift card."),
    "giftcard_insufficient": N_("There is not so much left on this gift card."),
    "giftcard_not_applied": N_("This gift card isn't in use here."),
    "insufficient_store_credit": N_("You don't have so much store credit."),
    "nothing_due": N_("Nothing is left to pay."),
    "shipping_option_unavailable": N_("This way of delivery isn't available. Choose another one."),
    "missing_shipping_choice": N_("Choose how it is delivered."),
    "missing_shipping_address": N_("Enter the delivery address."),
    "missing_billing_address": N_("Enter the billing address."),
    "pickup_unavailable": N_("It can't be collected there. Choose another place."),
    "invalid_address": N_("Check the address."),
    "inventory_shortfall": N_("Some of it is no longer in stock."),
    "extension_used": N_("This page can't stay open any longer."),
    "confirm_limit_exceeded": N_("This payment was tried too often. No money has left your account."),
    "tx_limit_exceeded": N_("The amount is more than can be paid at once."),
    "invalid_amount": N_("Enter an amount within the limits shown."),
    "link_not_payable": N_("This link can't be paid any more."),
    "payment_in_progress": N_("A payment is already under way."),
    "no_connector": N_("This way to pay can't be used right now. Choose another one."),
    "payment_method_not_supported": N_("This way to pay can't be used right now. Choose another one."),
    "card_number_refused": N_(
        "This looks like a card number. Don't type one here: you enter it on the next page."
    ),
    "card_number_not_taken": N_(
        "This page takes no card numbers itself. Nothing was charged; choose how to pay once more."
    ),
    "card_not_read": N_("Enter your card again"),
    "tenant_suspended": N_("This shop takes no payments at the moment."),
    "checkout_expired": N_("This payment page has expired."),
}
_BY_FIELD = {
    "amount": N_("Enter an amount within the limits shown."),
    "quantity": N_("Enter a quantity of 1 or more."),
    "email": N_("Enter an e-mail address like name@example.com"),
    "coupon": N_("This promotion code isn't valid."),
}
_BY_STATUS = {
    429: N_("Too many tries. Wait a moment before you try again. Nothing was charged."),
    503: N_("We cannot reach a part of the system. Nothing was charged; try again in a minute."),
}
_ELSE = N_("This can't be done now. Check what you typed and try again.")


def words(error: DomainError) -> str:
    """The words of a refusal in the language of this request."""
    too_often = isinstance(error, RateLimited) and error.message == error.default_message
    if language() == FALLBACK and not too_often:
        return error.message
    found = (
        _BY_CODE.get(error.code)
        or _BY_STATUS.get(error.http_status)
        or _BY_FIELD.get(error.field or "")
        or _ELSE
    )
    return str(gettext(found))
