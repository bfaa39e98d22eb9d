"""Client-side tokenisation (OP-37): a browser hands over details and gets a token that makes one method.

Test mode alone: in live mode the gateway's own script does this, in its own frames (security.md).
"""

from __future__ import annotations

from typing import Literal

from app.api.payments.surface import surface
from app.connectors.vaulting import ClientToken, MethodDetails, WalletDetails
from app.domain.actor import Actor, ActorKind
from app.domain.errors import InvalidRequest
from app.services.payments import methods
from app.web.method_fields import NUMBER_FIELDS, Details
from app.web.schemas import Instant, View
from app.web.surface import SERVER, Idempotency

WALLETS = ("apple_pay", "google_pay", "paypal")


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
