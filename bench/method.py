"""Prints the id of a card that a customer keeps, so that the bench can confirm with it again and again."""

from __future__ import annotations

import sys

from app import db, settings
from app.connectors.base import CardDetails
from app.kit import clock
from app.services.access import keys
from app.services.payments import methods

settings.use(settings.load())
db.configure(settings.current().database)
card = CardDetails("4242424242424242", 12, clock.now().year + 3, "123")
actor = keys.authenticate(sys.argv[1])
print(methods.tokenize_card(actor, card, customer_id="cust_bench", consent=True).id)
