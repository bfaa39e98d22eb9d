"""PY-058: what the directory server says of a card before it is charged."""

from __future__ import annotations

from pydantic import Field

from app.api.payments.surface import surface
from app.connectors.vaulting import Enrolment
from app.domain.actor import Actor
from app.services.payments import verifications
from app.web.schemas import Query, View
from app.web.surface import BROWSER


class OfMethod(Query):
    """Which card."""

    payment_method_id: str = Field(min_length=1, max_length=64)


class LookupView(View):
    """Whether a card takes part in 3-D Secure; `unavailable` where nobody could say."""

    payment_method_id: str
    enrolled: bool
    enrollment_status: str
    fingerprint_required: bool
    acs_url: str | None


@surface.get(
    "/payment-methods/3ds/lookup",
    "PY-058",
    query=OfMethod,
    returns=LookupView,
    auth=BROWSER,
    permission="methods:read",
)
def look_up(actor: Actor, query: OfMethod) -> LookupView:
    """Look up 3-D Secure enrolment and fingerprint needs of a card."""
    found = verifications.look_up_three_ds(actor, query.payment_method_id)
    return LookupView(
        payment_method_id=query.payment_method_id,
        enrolled=found.enrolment == Enrolment.ENROLLED,
        enrollment_status=found.enrolment,
        fingerprint_required=found.fingerprint_required,
        acs_url=found.acs_url,
    )
