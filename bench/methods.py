"""Prints customers and the card that each of them keeps, as JSON, so that the bench can confirm with them."""

from __future__ import annotations

import json
import sys

from app import db, settings
from app.connectors.base import CardDetails
from app.kit import clock
from app.services.access import keys
from app.services.payments import methods

#: One customer's payments wait for each other in the counters of risk; those of a shop come from many.
CUSTOMERS = 100

settings.use(settings.load())
db.configure(settings.current().database)
card = CardDetails("4242424242424242", 12, clock.now().year + 3, "123")
actor = keys.authenticate(sys.argv[1])
kept = {
    customer: methods.tokenize_card(actor, card, customer_id=customer, consent=True).id
    for customer in (f"cust_bench_{number}" for number in range(CUSTOMERS))
}
print(json.dumps(kept))
