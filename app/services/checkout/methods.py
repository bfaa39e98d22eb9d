"""What a session, or any buyer in a country, on a channel, in a currency, can pay with (CK-030)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.rules import payment_methods as rules
from app.services.checkout import sessions
from app.services.operations.settings import checkout_settings
from app.services.payments import offers


@dataclass(frozen=True, slots=True)
class Context:
    """Where somebody buys: ISO 3166 country, channel, ISO 4217 currency; None: not known."""

    country: str | None = None
    channel: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """The methods for a context, in the merchant's order, and the context as it was understood."""

    types: list[str]
    context: Context
    card_form: bool


def offered(actor: Actor, context: Context, *, checkout_id: str | None = None) -> Offered:
    """The methods of a session, or of a context; what the context names rules over the session's own.

    A method is offered where the merchant takes it (in that country), a connector can, and the session does
    not narrow it down further. A currency in which the merchant does not sell has none.

    Raises:
        NotFound: no such session.
        InvalidRequest: `unsupported_currency`: there is no such currency.
    """
    settings = checkout_settings(actor.tenant)
    wanted: tuple[str, ...] = settings.allowed_methods
    checkout_id = checkout_id or actor.session_id
    if checkout_id is not None:
        session = sessions.get(actor, checkout_id)
        wanted = tuple(session.method_types) or wanted
        address = session.billing_address or session.shipping_address or {}
        context = replace(
            context,
            country=context.country or address.get("country"),
            channel=context.channel or session.channel,
            currency=context.currency or session.currency,
        )
    context = replace(
        context,
        channel=context.channel or "web",
        currency=context.currency or actor.tenant.default_currency,
    )
    if not money.is_currency(str(context.currency)):
        raise InvalidRequest("There is no such currency", code="unsupported_currency", field="currency")
    if settings.currencies and context.currency not in settings.currencies:
        return Offered([], context, card_form=False)
    here = rules.in_country(wanted, context.country, settings.allowed_apms)
    offer = offers.of(actor, here)
    return Offered(offer.methods, context, offer.card_form)
