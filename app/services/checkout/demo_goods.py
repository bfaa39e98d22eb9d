"""What the demo sells, to whom, and how often what becomes of it: shares of a hundred visits."""

from __future__ import annotations

#: SKU, name, price in minor units; nothing tracks their stock.
GOODS = (
    ("BOX-10", "Gift box", 3400),
    ("CUP-11", "Espresso cup", 1200),
    ("BREW-12", "Brewing kettle", 7900),
    ("TEA-13", "Green tea, 100 g", 895),
    ("SET-14", "Tea set for four", 11900),
    ("CLASS-15", "Pottery class", 6500),
)

CURRENCIES = {"GBP": 80, "EUR": 14, "USD": 6}

FIRST_NAMES = (
    "Amara",
    "Ben",
    "Chiara",
    "Dev",
    "Elif",
    "Femi",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Keiko",
    "Leila",
    "Mateo",
    "Nora",
    "Omar",
    "Priya",
    "Ruth",
    "Sven",
    "Tomas",
    "Yara",
)
LAST_NAMES = (
    "Abadi",
    "Bianchi",
    "Clarke",
    "Diaz",
    "Evans",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ito",
    "Jensen",
    "Kowalska",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Patel",
    "Rossi",
    "Schmidt",
    "Taylor",
    "Walsh",
)

LINKS = (
    ("Pottery class, one evening", 6500, "CLASS"),
    ("Deposit for a dinner service", 15000, "DEPOSIT"),
    ("Support the studio", None, "DONATION"),
)

#: What becomes of a visit.
VISITS = {
    "paid": 62,
    "abandoned": 11,
    "declined": 6,
    "declined_then_paid": 5,
    "challenged": 5,
    "challenge_failed": 1,
    "redirected": 4,
    "linked": 3,
    "held": 2,
    "disputed": 1,
}

GOOD_CARDS = {"4242424242424242": 60, "5555555555554444": 30, "378282246310005": 10}
DECLINED_CARDS = {
    "4000000000009995": 50,
    "4000000000000002": 30,
    "4000000000000069": 15,
    "4000000000000119": 5,
}
DISPUTED_CARDS = {"4000000000000259": 60, "4000000000002685": 30, "4000000000001976": 10}
CHALLENGED_CARD = "4000000000003220"
REDIRECTS = {"paypal": 70, "ideal": 30}

#: Of a hundred payments that succeeded, how many are refunded; and of a hundred of those, how many in full.
REFUNDED, IN_FULL = 7, 55
REFUND_REASONS = {
    "customer_request": 50,
    "product_return": 35,
    "other": 10,
    "Arrived broken": 5,
}
NOTES = (
    "Called: the parcel went to the neighbour. All good.",
    "Wants an invoice in the company's name.",
    "Asked twice about delivery times.",
)
