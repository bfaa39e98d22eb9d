"""A shopper without JavaScript: opens the hosted page, sends its forms, reads what comes back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.checkout.session import CheckoutSession

#: An address that its country takes.
ADDRESS = {
    "name": "Sam Shopper",
    "line1": "1 High Street",
    "city": "London",
    "postal_code": "n1 1aa",
    "country": "GB",
}
CARD = {"card_number": "4242 4242 4242 4242", "exp_month": "12", "exp_year": "34", "cvc": "123"}


def typed(prefix: str, **changes: str) -> dict[str, str]:
    """The fields of an address form."""
    return {prefix + name: text for name, text in {**ADDRESS, **changes}.items()}


@dataclass
class Visit:
    """The page of one session, in one browser."""

    client: FlaskClient
    session: CheckoutSession

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"/pay/{self.session.hosted_id}"

    @property
    def text(self) -> str:
        """The page as it is now."""
        return self.client.get(self.url).text

    def hidden(self, *names: str) -> dict[str, str]:
        """Hidden fields of the page."""
        wanted = "|".join(names or ("csrf_token", "quote", "nonce"))
        return dict(re.findall(rf'name="({wanted})"[^>]*value="([^"]+)', self.text))

    def send(self, form: str, **fields: str) -> TestResponse:
        """Send a form that changes something."""
        return self.client.post(f"{self.url}/{form}", data={**self.hidden("csrf_token"), **fields})

    def pay(self, form: str = "card", **fields: str) -> TestResponse:
        """Pay what the page shows."""
        return self.client.post(f"{self.url}/{form}", data={**self.hidden(), **(fields or CARD)})
