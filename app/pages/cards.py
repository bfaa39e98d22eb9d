"""The card form of the hosted page: a test card typed into it, or a token of a gateway's own fields."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from app.connectors.base import CardDetails
from app.domain.actor import TenantProfile
from app.domain.errors import Unprocessable
from app.domain.rules.cards import holds_card_number
from app.kit.ids import random_token
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.pages import checkout, views
from app.pages.checkout import blueprint
from app.pages.forms import CardForm, FramesForm, good_nonce
from app.services.checkout import hosted, payment
from app.services.checkout.subscribing import RECURRING
from app.services.payments.offers import Offer
from app.web.opens import To, opens

#: Fields that are made of random characters, among which anything may be found.
_OURS = frozenset(
    {"csrf_token", "embed_token", "embed_origin", "embed_language", "quote", "nonce", "card_token"}
)


@blueprint.post("/<hosted_id>/card")
@opens(To.ADDRESS)
def pay_by_card(hosted_id: str) -> AnyResponse:
    """Pay with a card, the way in which the connector takes it that this payment would take."""
    session, profile, intent = hosted.find(hosted_id)
    offer = views.offer(session, profile)
    if not offer.card_form:
        return _by_frames(session, profile, intent, offer)
    form = CardForm()
    if not _is_good(form, session):
        return checkout.render(session, profile, intent, form=form, status=422)
    card = CardDetails(
        number=form.card_number.data,
        exp_month=int(form.exp_month.data),
        exp_year=int(form.exp_year.data),
        cvc=form.cvc.data.strip() or None,
        name=form.card_name.data,
        postal_code=(session.billing_address or {}).get("postal_code") or form.postal_code.data,
    )
    order = _order(form, session)
    return checkout.attempt(
        session,
        profile,
        intent,
        form,
        lambda actor: payment.pay_by_card(actor, session.id, card, order),
    )


def _by_frames(
    session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None, offer: Offer
) -> AnyResponse:
    """Pay with the token of a gateway's fields. A card number goes no further: it belongs into those."""
    form = FramesForm()
    if offer.frames is None or _holds_card_number():
        refused = Unprocessable(
            "This page takes no card numbers itself. Nothing was charged; choose how to pay once more.",
            code="card_number_not_taken",
        )
        blank = FramesForm(formdata=None)
        return checkout.render(session, profile, intent, form=blank, refused=refused, status=422)
    if not _is_good(form, session):
        return checkout.render(session, profile, intent, form=form, status=422)
    token, order = form.card.data, _order(form, session)
    return checkout.attempt(
        session,
        profile,
        intent,
        form,
        lambda actor: payment.pay_framed(actor, session.id, token, order),
    )


def _holds_card_number() -> bool:
    typed = (text for name, text in request.form.items(multi=True) if name not in _OURS)
    return any(holds_card_number(text) for text in typed)


def _is_good(form: CardForm, session: CheckoutSession) -> bool:
    """Whether everything was filled in; consent too, where the card will be charged again."""
    good = bool(form.validate_on_submit())
    return (form.require_consent() and good) if session.options.get(RECURRING) else good


def _order(form: CardForm, session: CheckoutSession) -> payment.Order:
    return payment.Order(
        good_nonce(form.nonce.data or "") or random_token(),
        form.quote.data,
        form.email.data or None,
        keep_for=checkout.kept_for(session),
    )
