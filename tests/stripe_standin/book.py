"""One account of the stand-in: its objects, and the endpoints that the connector uses."""

from __future__ import annotations

import secrets
from typing import Any

from app.kit import clock
from tests.stripe_standin.errors import ApiError, invalid, missing
from tests.stripe_standin.tokens import TOKENS, Behaviour

Json = dict[str, Any]

_ALWAYS_WHOLE = {"isk": 100, "ugx": 100, "bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10}
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")


def now() -> int:
    return int(clock.now().timestamp())


def new(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


class Account:
    """What one secret key reaches."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.behaviours: dict[str, Behaviour] = {}
        self.methods: dict[str, str] = {}
        self.shown: dict[str, Json] = {}
        self.said: dict[str, Json] = {}
        self.keeps: dict[str, tuple[str | None, str]] = {}

    def method(self, sample: str) -> str:
        """A payment method as Stripe's frames make one, which does what `sample` does."""
        made = new("pm")
        self.methods[made] = sample
        return made

    def confirmation_token(self, sample: str = "pm_card_visa", **said: Any) -> str:
        """A token as the Payment Element makes one, for the amount that it was told."""
        made = new("ctoken")
        self.methods[made] = sample
        self.said[made] = {"last4": "4242", "setup_future_usage": None, **said}
        return made

    def find(self, kind: str, object_id: str) -> Json:
        found = self.objects.get(object_id)
        if found is None or found["object"] != kind:
            raise missing(kind, object_id)
        if kind == "dispute":
            _turn(found)
        return found

    def find_token(self, kind: str, token: str) -> Json:
        """A payment method or token, without a number, as Stripe shows it."""
        sample = self.methods.get(token, token)
        if sample not in TOKENS:
            raise missing(kind, token)
        card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "wallet": None}
        card |= {"country": "GB", "fingerprint": "fp_1"}
        shown: Json = {"id": token, "object": kind, "type": "card", "card": card, "customer": None}
        card["last4"] = self.said.get(token, card)["last4"]
        if kind == "confirmation_token":
            return {"id": token, "object": kind, "payment_method_preview": {"type": "card", "card": card}}
        return shown | ({"used": False} if kind == "token" else {}) | self.shown.get(token, {})

    def listed(self, kind: str, query: Json) -> Json:
        """A page, newest first, filtered as Stripe filters."""
        rows = [o for o in reversed(self.objects.values()) if o["object"] == kind]
        created = query.get("created") or {}
        for name, keeps in (
            ("gte", lambda a, b: a >= b),
            ("lte", lambda a, b: a <= b),
            ("lt", lambda a, b: a < b),
        ):
            if name in created:
                limit = int(created[name])
                rows = [row for row in rows if keeps(row["created"], limit)]
        for name in ("payment_intent", "currency", "charge"):
            if name in query:
                rows = [row for row in rows if row[name] == query[name]]
        if "starting_after" in query:
            ids = [row["id"] for row in rows]
            rows = rows[ids.index(query["starting_after"]) + 1 :]
        size = int(query.get("limit", 10))
        return {"object": "list", "data": rows[:size], "has_more": len(rows) > size}

    # --- payment intents

    def create_intent(self, body: Json) -> Json:
        token = _token(body)
        behaviour = TOKENS.get(self.methods.get(token, token))
        if behaviour is None:
            raise invalid("resource_missing", "No such PaymentMethod", param="payment_method")
        amount, currency = _amount(body["amount"], body["currency"])
        if body.get("capture_method") not in ("manual", "automatic") or body.get("confirm") != "true":
            raise invalid(None, "the suite expects a capture method, confirmed at once")
        if "return_url" not in body and body.get("off_session") != "true":
            raise invalid(None, "return_url is needed to confirm")
        self._use(token, body)
        intent = self.intent(amount + behaviour.extra_amount, behaviour.other_currency or currency, body)
        self.behaviours[intent["id"]] = behaviour
        if behaviour.challenge and body.get("error_on_requires_action") == "true":
            self._decline(intent, "authentication_required", "authentication_required")
        if behaviour.challenge:
            intent |= {"status": "requires_action", "next_action": self._challenge(intent, behaviour, body)}
            return intent
        if behaviour.decline:
            self._decline(intent, behaviour.code, behaviour.decline)
        self._hold(intent, "pass")
        return intent

    def _use(self, token: str, body: Json) -> None:
        """A ConfirmationToken counts once, and for what the page showed."""
        said = self.said.get(token)
        if said is None:
            return
        if said.get("used_by"):
            raise invalid("resource_missing", "This ConfirmationToken was used already")
        shown = {name: said[name] for name in ("amount", "currency") if name in said}
        if shown != {name: type(shown[name])(body[name]) for name in shown}:
            raise invalid(None, f"the page showed {shown}")
        if said["setup_future_usage"] != body.get("setup_future_usage"):
            raise invalid(None, "setup_future_usage differs")
        said["used_by"] = body

    def create_customer(self, body: Json) -> Json:
        found: Json = {"id": new("cus"), "object": "customer", "created": now(), "metadata": body["metadata"]}
        self.objects[found["id"]] = found
        return found

    def cards_of(self, customer: str) -> Json:
        """What a first payment left with a customer."""
        kept = [o for o in self.objects.values() if o["object"] == "payment_method"]
        return {"object": "list", "data": [o for o in kept if o["customer"] == customer], "has_more": False}

    def intent(self, amount: int, currency: str, body: Json) -> Json:
        intent_id = new("pi")
        intent: Json = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "cancellation_reason": None,
            "capture_method": body["capture_method"],
            "client_secret": f"{intent_id}_secret_{secrets.token_hex(8)}",
            "created": now(),
            "currency": currency,
            "description": body.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": body.get("metadata", {}),
            "next_action": None,
            "status": "requires_payment_method",
        }
        self.objects[intent_id] = intent
        self.keeps[intent_id] = (body.get("customer"), _token(body) if "customer" in body else "")
        return intent

    def authenticate(self, intent_id: str, *, ok: bool) -> None:
        """What the shopper does at the bank."""
        intent, behaviour = self.objects[intent_id], self.behaviours[intent_id]
        intent["next_action"] = None
        try:
            if not ok:
                self._decline(intent, "payment_intent_authentication_failure", None)
            elif behaviour.decline:
                self._decline(intent, behaviour.code, behaviour.decline)
        except ApiError:
            return
        self._hold(intent, "authenticated")

    def capture(self, intent: Json, body: Json) -> Json:
        if intent["status"] != "requires_capture":
            raise _unexpected(intent)
        amount = int(body.get("amount_to_capture", intent["amount_capturable"]))
        if not 0 < amount <= intent["amount_capturable"]:
            raise invalid("amount_too_large", "more than is capturable")
        charge = self.objects[intent["latest_charge"]]
        charge |= {"amount_captured": amount, "amount_refunded": charge["amount"] - amount, "captured": True}
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        self.transaction(
            "charge", charge["amount"], intent["currency"], charge["id"], fee=amount * 29 // 1000 + 30
        )
        if amount < charge["amount"]:
            self._book_back(charge, charge["amount"] - amount)
        return intent

    def _book_back(self, charge: Json, rest: int) -> None:
        """Stripe books a capture in part as all of it, and the rest back (docs: reporting categories)."""
        refund = self._refund(charge, rest, {"metadata": {}}, "succeeded")
        booked = self.transaction("refund", -rest, charge["currency"], refund["id"])
        booked["reporting_category"] = "partial_capture_reversal"
        refund["balance_transaction"] = booked["id"]

    def cancel(self, intent: Json, body: Json) -> Json:
        if intent["status"] not in _OPEN:
            raise _unexpected(intent)
        reason = body.get("cancellation_reason")
        intent |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
        intent["amount_capturable"] = 0
        if intent["latest_charge"]:
            charge = self.objects[intent["latest_charge"]]
            charge["amount_refunded"] = charge["amount"]
        return intent

    def _challenge(self, intent: Json, behaviour: Behaviour, body: Json) -> Json:
        if behaviour.challenge == "use_stripe_sdk":
            return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        url = f"https://hooks.stripe.test/3d_secure/{intent['id']}"
        return {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": body["return_url"]}}

    def _decline(self, intent: Json, code: str, decline_code: str | None) -> None:
        error = {
            "type": "card_error",
            "code": code,
            "decline_code": decline_code,
            "message": "Your card was declined.",
            "network_decline_code": "51" if decline_code == "insufficient_funds" else None,
        }
        intent |= {"status": "requires_payment_method", "last_payment_error": error}
        answer = ApiError(402, "card_error", code)
        answer.body = {"error": {**error, "payment_intent": dict(intent)}}
        raise answer

    def _hold(self, intent: Json, three_ds: str) -> None:
        charge_id = new("ch")
        self.objects[charge_id] = {
            "id": charge_id,
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "captured": False,
            "created": now(),
            "currency": intent["currency"],
            "metadata": intent["metadata"],
            "outcome": {"risk_score": 17, "network_decline_code": None, "type": "authorized"},
            "payment_intent": intent["id"],
            "payment_method_details": {
                "type": "card",
                "card": {
                    "capture_before": now() + 6 * 86400,
                    "checks": {"cvc_check": "pass", "address_postal_code_check": "unavailable"},
                    "three_d_secure": {"result": three_ds} if three_ds != "pass" else None,
                },
            },
        }
        customer, token = self.keeps.get(intent["id"], (None, ""))
        if customer and token in self.said:
            method = self.method(self.methods[token])
            self.objects[method] = {"id": method, "object": "payment_method", "customer": customer}
        held = {"latest_charge": charge_id, "amount_capturable": intent["amount"]}
        intent |= {"status": "requires_capture", **held}
        if intent["capture_method"] == "automatic":
            self.capture(intent, {})

    # --- refunds

    def create_refund(self, body: Json) -> Json:
        intent = self.find("payment_intent", body["payment_intent"])
        if intent["status"] != "succeeded":
            raise invalid("charge_not_captured", "nothing to refund")
        if body.get("reason") not in (None, "requested_by_customer", "fraudulent", "duplicate"):
            raise invalid(None, "no such reason")
        if any(o["payment_intent"] == intent["id"] and _turn(o) != "won" for o in self.disputes()):
            raise invalid("charge_disputed", "the charge is disputed")
        charge = self.objects[intent["latest_charge"]]
        amount = int(body["amount"])
        if not 0 < amount <= charge["amount"] - charge["amount_refunded"]:
            raise invalid("charge_already_refunded", "more than is left")
        charge["amount_refunded"] += amount
        status = self.behaviours.get(intent["id"], Behaviour()).refunds
        refund = self._refund(charge, amount, body, status)
        if status == "succeeded":
            booked = self.transaction("refund", -amount, intent["currency"], refund["id"])
            refund["balance_transaction"] = booked["id"]
        return refund

    def _refund(self, charge: Json, amount: int, body: Json, status: str) -> Json:
        refund: Json = {
            "id": new("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "created": now(),
            "currency": charge["currency"],
            "failure_reason": "expired_or_canceled_card" if status == "failed" else None,
            "metadata": body.get("metadata", {}),
            "payment_intent": charge["payment_intent"],
            "reason": body.get("reason"),
            "status": status,
        }
        self.objects[refund["id"]] = refund
        return refund

    # --- checkout sessions

    def create_session(self, body: Json, base: str) -> Json:
        [item] = body["line_items"].values()
        price = item["price_data"]
        amount, currency = _amount(price["unit_amount"], price["currency"])
        lasts = int(body["expires_at"]) - now()
        if (
            body["mode"] != "payment"
            or not 30 * 60 <= lasts <= 24 * 3600
            or not price["product_data"]["name"]
        ):
            raise invalid(None, "not a session that Stripe would open")
        session_id = new("cs_test")
        session: Json = {
            "id": session_id,
            "object": "checkout.session",
            "amount_total": amount,
            "created": now(),
            "currency": currency,
            "expires_at": int(body["expires_at"]),
            "metadata": body.get("metadata", {}),
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "url": f"{base}/c/pay/{session_id}",
            "_back": body["success_url"],
            "_intent": body["payment_intent_data"],
            "_types": list(body["payment_method_types"].values()),
        }
        self.objects[session_id] = session
        return session

    def pay_session(self, session_id: str) -> Json:
        """What the shopper does on Stripe's page: pays."""
        session = self.objects[session_id]
        intent = self.intent(session["amount_total"], session["currency"], session["_intent"])
        self._hold(intent, "pass")
        session |= {"status": "complete", "payment_intent": intent["id"], "payment_status": "paid"}
        return intent

    def expire_session(self, session: Json) -> Json:
        if session["status"] != "open":
            raise invalid(None, f"a session that is {session['status']} cannot be expired")
        session["status"] = "expired"
        session["url"] = None
        return session

    # --- disputes, balance

    def dispute(self, intent_id: str, reason: str = "fraudulent", status: str = "needs_response") -> Json:
        """A cardholder complains."""
        intent = self.objects[intent_id]
        found: Json = {
            "id": new("du"),
            "object": "dispute",
            "amount": intent["amount_received"],
            "balance_transactions": [],
            "charge": intent["latest_charge"],
            "created": now(),
            "currency": intent["currency"],
            "evidence": {},
            "evidence_details": {"due_by": now() + 10 * 86400, "submission_count": 0},
            "metadata": {},
            "payment_intent": intent_id,
            "reason": reason,
            "status": status,
        }
        self.objects[found["id"]] = found
        if status == "needs_response":
            moved = self.transaction("adjustment", -found["amount"], found["currency"], found["id"], fee=1500)
            found["balance_transactions"] = [moved]
        return found

    def disputes(self) -> list[Json]:
        """Disputes that hold money."""
        made = [o for o in self.objects.values() if o["object"] == "dispute"]
        return [o for o in made if not o["status"].startswith("warning")]

    def warning(self, intent_id: str) -> Json:
        """A card network fears fraud."""
        found: Json = {
            "id": new("issfr"),
            "object": "radar.early_fraud_warning",
            "actionable": True,
            "charge": self.objects[intent_id]["latest_charge"],
            "created": now(),
            "payment_intent": intent_id,
        }
        self.objects[found["id"]] = found
        return found

    def update_dispute(self, found: Json, body: Json) -> Json:
        if found["status"] not in ("needs_response", "warning_needs_response"):
            raise invalid(None, "evidence cannot be submitted any more")
        for name, value in body["evidence"].items():
            if name != "uncategorized_text" and self.objects[value]["purpose"] != "dispute_evidence":
                raise invalid(None, "not a file of evidence")
        found["evidence"] = body["evidence"]
        files = [self.objects[name] for name in body["evidence"].values() if name in self.objects]
        texts = [file["_content"].decode() for file in files if file["filename"].endswith(".txt")]
        said = " ".join([body["evidence"].get("uncategorized_text", ""), *texts])
        decided = {"winning_evidence": "won", "losing_evidence": "lost"}
        found["_outcome"] = next((status for word, status in decided.items() if word in said), None)
        found["_decided_at"] = now() + 30
        if body.get("submit") == "true":
            found["status"] = found["status"].replace("needs_response", "under_review")
        return found

    def close_dispute(self, found: Json) -> Json:
        if found["status"] not in ("needs_response", "warning_needs_response"):
            raise invalid(None, f"a dispute that is {found['status']} cannot be closed")
        found["status"] = "lost" if found["status"] == "needs_response" else "warning_closed"
        return found

    def create_file(self, fields: Json, content: bytes) -> Json:
        found: Json = {
            "id": new("file"),
            "object": "file",
            "created": now(),
            "purpose": fields["purpose"],
            "filename": fields["filename"],
            "_content": content,
        }
        self.objects[found["id"]] = found
        return found

    def transaction(self, kind: str, amount: int, currency: str, source: str, fee: int = 0) -> Json:
        """A line of the balance."""
        entry: Json = {
            "id": new("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": now() + 2 * 86400,
            "created": now(),
            "currency": currency,
            "fee": fee,
            "net": amount - fee,
            "reporting_category": kind,
            "source": source,
            "type": kind,
        }
        self.objects[entry["id"]] = entry
        return entry

    def balance(self) -> Json:
        used = {o["currency"] for o in self.objects.values() if o["object"] == "balance_transaction"}
        amounts = [{"amount": 0, "currency": currency} for currency in sorted(used)]
        return {"object": "balance", "available": amounts, "pending": amounts[:1]}


def _turn(found: Json) -> str:
    """Let a dispute be what it is by the clock; its status."""
    if found["status"] == "needs_response" and now() > (found["evidence_details"]["due_by"] or now()):
        found["status"] = "lost"
    if found["status"] == "under_review" and found.get("_outcome") and now() >= found["_decided_at"]:
        found["status"] = found["_outcome"]
    return str(found["status"])


def _token(body: Json) -> str:
    data = body.get("payment_method_data") or {}
    token = body.get("payment_method") or body.get("confirmation_token") or data["card"]["token"]
    return str(token)


def _amount(text: str, currency: str) -> tuple[int, str]:
    amount = int(text)
    if currency != currency.lower() or len(currency) != 3:
        raise invalid("invalid_currency", "currencies are lower case")
    if amount > 99_999_999:
        raise invalid("amount_too_large")
    if amount < 30 and currency == "gbp":
        raise invalid("amount_too_small")
    if amount % _ALWAYS_WHOLE.get(currency, 1):
        raise invalid(None, f"{currency} in multiples of {_ALWAYS_WHOLE[currency]}")
    return amount, currency


def _unexpected(intent: Json) -> ApiError:
    message = f"This PaymentIntent has a status of {intent['status']}"
    return invalid("payment_intent_unexpected_state", message, payment_intent=dict(intent))
