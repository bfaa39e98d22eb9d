"""What browsers get of the stand-in: Stripe's script, the frames that it makes, and Stripe's own page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.stripe_standin.book import Account

if TYPE_CHECKING:
    from tests.stripe_standin.server import StandIn

#: (status, headers, body)
Answer = tuple[int, dict[str, str], bytes]

SCRIPT = Path(__file__).with_name("stripe.js").read_bytes()

#: Stripe's test cards, by what they do.
NUMBERS = {
    "4242424242424242": "pm_card_visa",
    "4000000000009995": "pm_card_visa_chargeDeclinedInsufficientFunds",
    "4000002760003184": "pm_card_authenticationRequiredSdk",
}

_LISTEN = """addEventListener("message", async ({data, ports: [port]}) => port.postMessage(await calls[data.call](data.detail)));
const send = async (path, body) => (await fetch(path, {method: "POST", body: JSON.stringify(body)})).json();"""

_CARD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Card</title>
<style>body{margin:0;font:16px system-ui;color:#12201a}body.night{color:#e8efeb}label{display:block;margin:0 0 12px}
input{display:block;box-sizing:border-box;width:100%;margin-top:4px;height:44px;padding:0 12px;font:inherit;
color:inherit;background:transparent;border:1px solid #7f8b84;border-radius:10px}div{display:flex;gap:12px}
div label{flex:1}</style><body class="LOOK"><label>Card number<input name="number" inputmode="numeric"></label>
<div><label>Expiration<input name="expiry"></label><label>CVC<input name="cvc"></label></div>
<script>LISTEN
const value = (name) => document.querySelector(`[name=${name}]`).value.replace(/\\s/g, "");
const calls = {
  check: () => /^\\d{16}$/.test(value("number")) && value("expiry") && value("cvc") ? {}
    : {error: {type: "validation_error", message: "Your card number is incomplete."}},
  token: (detail) => send("/v3/tokens", {...detail, number: value("number")}),
};</script></html>"""

_CHALLENGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Your bank</title><body style="background:#fff">
<h1>Is it you?</h1><button id="yes">Complete</button> <button id="no">Fail</button>
<script>LISTEN
const calls = {challenge: (detail) => new Promise((done) => {
  for (const id of ["yes", "no"]) document.getElementById(id).onclick =
    async () => done(await send("/v3/challenge", {...detail, ok: id === "yes"}));
})};</script></html>"""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Stripe</title><h1>Pay AMOUNT</h1>
<form method="post"><button name="do" value="pay">Pay</button><button name="do" value="back">Back</button></form></html>"""


def answer(standin: StandIn, method: str, path: str, query: str, raw: bytes) -> Answer | None:
    """An answer to a browser; None for a call of the API."""
    if path == "/v3/":
        return 200, {"Content-Type": "text/javascript"}, SCRIPT
    if path == "/v3/card":
        look = "night" if "night" in query else "day"
        return _html(_CARD.replace("LISTEN", _LISTEN).replace("LOOK", look))
    if path == "/v3/challenge" and method == "GET":
        return _html(_CHALLENGE.replace("LISTEN", _LISTEN))
    if path == "/v3/complaints":
        standin.complaints.append(raw.decode())
        return 204, {}, b""
    if path.startswith("/v3/"):
        said = json.loads(raw)
        account = standin.account("sk" + said["key"].removeprefix("pk"))
        work = {"/v3/tokens": _token, "/v3/challenge": _challenged}[path]
        return 200, {"Content-Type": "application/json"}, json.dumps(work(account, said)).encode()
    if path.startswith("/c/pay/"):
        return _page(standin, path.removeprefix("/c/pay/"), method, raw.decode())
    return None


def _token(account: Account, said: dict[str, Any]) -> dict[str, Any]:
    if said["number"] not in NUMBERS:
        return {"error": {"type": "card_error", "message": "Your card number is invalid."}}
    token = account.confirmation_token(
        NUMBERS[said["number"]],
        last4=said["number"][-4:],
        amount=said["amount"],
        currency=said["currency"],
        setup_future_usage=said.get("setupFutureUsage"),
        email=said.get("email"),
    )
    return {"confirmationToken": {"id": token}}


def _challenged(account: Account, said: dict[str, Any]) -> dict[str, Any]:
    intent_id = said["clientSecret"].split("_secret_")[0]
    intent = account.objects[intent_id]
    assert intent["client_secret"] == said["clientSecret"]
    if intent["status"] == "requires_action":
        account.authenticate(intent_id, ok=said["ok"])
    if intent["last_payment_error"]:
        return {"error": {"type": "card_error", "message": "We are unable to authenticate your card."}}
    return {"paymentIntent": {"id": intent_id, "status": intent["status"]}}


def _page(standin: StandIn, session_id: str, method: str, body: str) -> Answer:
    [account] = [found for found in standin.accounts.values() if session_id in found.objects]
    session = account.objects[session_id]
    if method == "GET":
        return _html(_PAGE.replace("AMOUNT", f"{session['amount_total']} {session['currency']}"))
    if parse_qs(body)["do"] == ["pay"] and session["status"] == "open":
        account.pay_session(session_id)
    return 303, {"Location": session["_back"]}, b""


def _html(text: str) -> Answer:
    return 200, {"Content-Type": "text/html; charset=utf-8"}, text.encode()
