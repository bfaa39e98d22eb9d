"""An example of the systems that Till asks and tells (docs/providers.md): all of them in one small server.

    python3 provider_server.py 9000 tax=whsec_… inventory=whsec_…

Python's standard library alone. What it knows is kept in memory; yours keeps it in a database, and does what
stands under `with shop.lock` here in one transaction there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: A signature that is older, or from further in the future, is refused.
TOLERANCE_SECONDS = 300
MAX_BODY = 1024 * 1024

Data = dict[str, Any]


class RefusedError(Exception):
    """The call cannot be answered; Till shows the status to its operator."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def verify(header: str, body: bytes, secret: str, now: float) -> None:
    """Check `Till-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`; there may be several v1."""
    fields = [part.partition("=") for part in header.split(",")]
    stamp = next((value for name, _, value in fields if name == "t"), "")
    if not stamp.isdigit() or abs(now - int(stamp)) > TOLERANCE_SECONDS:
        raise RefusedError(401, "too old")
    good = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    given = [value.encode() for name, _, value in fields if name == "v1"]
    if not any(hmac.compare_digest(good.encode(), value) for value in given):
        raise RefusedError(401, "not signed with the secret")


class Shop:
    """What the systems know, and what they answer."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.carts: dict[str, Data] = {}
        self.prices: dict[str, int] = {}
        self.coupons: dict[str, Data] = {}
        self.tax_by_country: dict[str, str] = {}
        self.shipping: list[Data] = []
        self.stock: dict[str, int] = {}
        self.holds: dict[str, Data] = {}
        self.sold: dict[str, Data] = {}
        self.code_holds: dict[str, Data] = {}
        self.code_uses: dict[str, list[str]] = {}
        self.orders: dict[str, Data] = {}
        self.receipts: dict[str, Data] = {}
        self.credit_notes: dict[str, Data] = {}
        self.checks: dict[str, str] = {}

    # Carts, prices, tax, delivery: only looked at.

    def carts_get(self, data: Data) -> Data:
        """A cart, or null where there is none of that id."""
        return {"cart": self.carts.get(data["cart_id"])}

    def pricing_price(self, data: Data) -> Data:
        """What each line costs now; null for what is not sold. Who asks may be anybody's browser."""
        lines = [
            {"line_id": line["line_id"], "unit_price": self.prices.get(line["sku"])} for line in data["lines"]
        ]
        return {"currency": data["currency"], "lines": lines}

    def tax_rate(self, data: Data) -> Data:
        """The rate where the goods go."""
        country = (data["address"] or {}).get("country") or ""
        return {"name": f"VAT {country}".strip(), "percent": self.tax_by_country.get(country, "20")}

    def shipping_options(self, data: Data) -> Data:
        """Ways of delivery, in the currency that was asked for."""
        return {"currency": data["currency"], "options": self.shipping}

    # Discount codes: a hold has all of its codes or none.

    def promotions_resolve(self, data: Data) -> Data:
        """Which codes are in force; `held` are those of which the asking checkout has a use already."""
        applied, refused = [], {}
        for code in data["codes"]:
            coupon = self.coupons.get(code)
            if coupon is None:
                refused[code] = "unknown_code"
            elif code not in data["held"] and self._uses_left(code) <= 0:
                refused[code] = "used_up"
            else:
                applied.append({"code": code, "percent": coupon["percent"]})
        return {"applied": applied, "refused": refused}

    def promotions_hold(self, data: Data) -> Data:
        """Promise a use of each code, in place of what the hold had; or name those that are used up."""
        if data["hold_id"] in self.code_uses:
            return {"lost": []}
        self.code_holds.pop(data["replaces"] or "", None)
        before = self.code_holds.pop(data["hold_id"], None)
        lost = [code for code in data["codes"] if self._uses_left(code) <= 0]
        after = {"codes": data["codes"], "until": data["expires_at"]}
        if before is not None or not lost:
            self.code_holds[data["hold_id"]] = (before or after) if lost else after
        return {"lost": lost}

    def promotions_extend(self, data: Data) -> Data:
        """Promise for longer; a hold that is over stays over."""
        return self._extend(self.code_holds, data)

    def promotions_release(self, data: Data) -> Data:
        """Give the uses back; a hold that is not there is given back already."""
        self.code_holds.pop(data["hold_id"], None)
        return {}

    def promotions_commit(self, data: Data) -> Data:
        """Count the uses, once."""
        self.code_holds.pop(data["hold_id"], None)
        self.code_uses.setdefault(data["hold_id"], list(data["codes"]))
        return {}

    def promotions_restore(self, data: Data) -> Data:
        """Give the uses back that were counted, once: a commit that comes again counts nothing."""
        if data["hold_id"] not in self.code_uses:
            raise RefusedError(409, "never used")
        self.code_uses[data["hold_id"]] = []
        return {}

    def _uses_left(self, code: str) -> int:
        coupon = self.coupons.get(code)
        if coupon is None:
            return 0
        self._let_lapsed_go(self.code_holds)
        taken = sum(code in hold["codes"] for hold in self.code_holds.values())
        taken += sum(code in codes for codes in self.code_uses.values())
        return coupon.get("limit", 1_000_000) - taken

    # Stock: a hold has what could be had of each line.

    def inventory_available(self, data: Data) -> Data:
        """Units that could be held now; goods that are not named are not counted, and always there."""
        return {"available": {sku: self._left(sku) for sku in data["skus"] if sku in self.stock}}

    def inventory_hold(self, data: Data) -> Data:
        """Hold what can be held, in place of what the hold had; without `partial_allowed` all or nothing.

        What is sold already is answered as it is.
        """
        if data["hold_id"] in self.sold:
            return {"lines": self.sold[data["hold_id"]]["lines"]}
        before = dict(self.holds)
        self.holds.pop(data["replaces"] or "", None)
        self.holds.pop(data["hold_id"], None)
        lines: list[Data] = []
        for line in data["lines"]:
            wanted = line["quantity"]
            if line["sku"] in self.stock:
                mine = sum(other["reserved_qty"] for other in lines if other["sku"] == line["sku"])
                wanted = max(0, min(wanted, self._left(line["sku"]) - mine))
            held = {"line_id": line["line_id"], "sku": line["sku"], "reserved_qty": wanted}
            lines.append({**held, "location": "main"})
        self.holds[data["hold_id"]] = {"lines": lines, "until": data["expires_at"]}
        wanted = sum(line["quantity"] for line in data["lines"])
        if not data["partial_allowed"] and sum(line["reserved_qty"] for line in lines) < wanted:
            self.holds = before
        return {"lines": lines}

    def inventory_extend(self, data: Data) -> Data:
        """Hold for longer; a hold that is over stays over."""
        return self._extend(self.holds, data)

    def inventory_release(self, data: Data) -> Data:
        """Give the goods back; a hold that is not there, or is sold, stays as it is."""
        self.holds.pop(data["hold_id"], None)
        return {}

    def inventory_commit(self, data: Data) -> Data:
        """Sell the goods, once."""
        if data["hold_id"] not in self.sold:
            self.holds.pop(data["hold_id"], None)
            self.sold[data["hold_id"]] = {"lines": data["lines"], "returned": False}
            self._move(data["lines"], -1)
        return {}

    def inventory_restock(self, data: Data) -> Data:
        """Take the goods back, once."""
        sale = self.sold.get(data["hold_id"])
        if sale is None:
            raise RefusedError(409, "never sold")
        if not sale["returned"]:
            sale["returned"] = True
            self._move(data["lines"], +1)
        return {}

    def _left(self, sku: str) -> int:
        self._let_lapsed_go(self.holds)
        lines = [line for hold in self.holds.values() for line in hold["lines"] if line["sku"] == sku]
        return self.stock[sku] - sum(line["reserved_qty"] for line in lines)

    def _move(self, lines: list[Data], sign: int) -> None:
        for line in lines:
            if line["sku"] in self.stock:
                self.stock[line["sku"]] += sign * line["reserved_qty"]

    # Orders and bills: one for each key or source, whoever asks how often.

    def orders_create(self, data: Data) -> Data:
        """Take an order, or say why not; the id of the one that the key has already."""
        if not data["lines"]:
            return {"refused": "nothing was ordered"}
        number = f"shop-{len(self.orders) + 1}"
        made = {"order_id": number, "status": "placed", "checkout_id": data["checkout_id"]}
        return {"order_id": self.orders.setdefault(data["key"], made)["order_id"]}

    def orders_cancel(self, data: Data) -> Data:
        """Cancel an order, or say why not; one that never came is canceled already."""
        order = self.orders.get(data["key"])
        if order is not None and order["status"] == "shipped":
            return {"refused": "it is on its way"}
        if order is not None:
            order["status"] = "canceled"
        return {}

    def billing_issue_receipt(self, data: Data) -> Data:
        """Issue a receipt; the one that the source has already, where that is valid."""
        made = self.receipts.get(data["source"])
        if made is None or made["void"]:
            made = {"receipt_id": data["receipt_id"], "amount": data["amount"], "void": False}
            self.receipts[data["source"]] = made
        return {"receipt_id": made["receipt_id"]}

    def billing_void_receipt(self, data: Data) -> Data:
        """Take a receipt back, where there is one."""
        if data["source"] in self.receipts:
            self.receipts[data["source"]]["void"] = True
        return {}

    def billing_issue_credit_note(self, data: Data) -> Data:
        """Credit an amount, once for each source."""
        made = {"credit_note_id": data["credit_note_id"], "amount": data["amount"], "void": False}
        self.credit_notes.setdefault(data["source"], made)
        return {}

    def billing_void_credit_note(self, data: Data) -> Data:
        """Take a credit note back; it has to have come before."""
        if data["source"] not in self.credit_notes:
            raise RefusedError(409, "never issued")
        self.credit_notes[data["source"]]["void"] = True
        return {}

    def kyc_open(self, data: Data) -> Data:
        """Begin an identity check, once for each id; documents are handed in at the page."""
        reference = self.checks.setdefault(data["kyc_id"], f"check-{len(self.checks) + 1}")
        return {"reference": reference, "url": f"https://identity.example.com/{reference}"}

    # Holds lapse by themselves: Till may have died before it could use them.

    @staticmethod
    def _extend(holds: dict[str, Data], data: Data) -> Data:
        hold = holds.get(data["hold_id"])
        if hold is not None:  # what was told late shortens nothing
            hold["until"] = max(hold["until"], data["expires_at"], key=_instant)
        return {}

    @staticmethod
    def _let_lapsed_go(holds: dict[str, Data]) -> None:
        now = time.time()
        for hold_id in [key for key, hold in holds.items() if _instant(hold["until"]) <= now]:
            del holds[hold_id]


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Handler(BaseHTTPRequestHandler):
    """`POST /{provider}/{operation}`: signed, answered once for each key."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    shop: Shop
    secrets: dict[str, str]
    #: The answers of the last calls by their keys; yours forgets them after a day.
    answered: dict[str, Data]

    def do_POST(self) -> None:
        """Answer a call."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, MAX_BODY))
        try:
            self.send(200, self.answer(body))
        except RefusedError as refused:
            self.send(refused.status, {"error": str(refused)})

    def answer(self, body: bytes) -> Data:
        """What there is to answer to a call."""
        provider, _, operation = self.path.strip("/").partition("/")
        if provider not in self.secrets:
            raise RefusedError(404, "no such system")
        verify(self.headers.get("Till-Signature", ""), body, self.secrets[provider], time.time())
        call = json.loads(body)
        if call["operation"] != f"{provider}.{operation}":
            raise RefusedError(400, "signed for another operation")
        work = getattr(self.shop, f"{provider}_{operation}", None)
        if work is None:
            raise RefusedError(404, "no such operation")
        key = self.headers["Idempotency-Key"]
        with self.shop.lock:
            if key not in self.answered:
                self.answered[key] = work(call["data"])
            return self.answered[key]

    def send(self, status: int, answer: Data) -> None:
        """Send a JSON object."""
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """As many callers at once as there are shoppers who press the button."""

    request_queue_size = 128
    daemon_threads = True


def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    Handler.shop, Handler.answered = Shop(), {}
    Handler.secrets = dict(each.split("=", 1) for each in arguments[1:])
    server = Server(("127.0.0.1", int(arguments[0])), Handler)
    print(f"http://127.0.0.1:{server.server_port}/{{provider}}/{{operation}}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
