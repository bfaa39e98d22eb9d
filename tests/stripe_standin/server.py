"""The stand-in on the wire: checks what it is sent, replays idempotent requests, fails when it is told to."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import stripe

from tests.stripe_standin import browser
from tests.stripe_standin.book import Account, now
from tests.stripe_standin.errors import ApiError, invalid
from tests.stripe_standin.tokens import TOKENS, Behaviour

Json = dict[str, Any]

#: What the endpoints take; anything else is refused and complained of.
_TAKES = {
    "payment_intents": "amount currency payment_method payment_method_data payment_method_types customer "
    "confirmation_token capture_method confirm metadata description return_url off_session "
    "error_on_requires_action payment_method_options use_stripe_sdk setup_future_usage expand",
    "customers": "metadata",
    "payment_intents/capture": "amount_to_capture expand",
    "payment_intents/cancel": "cancellation_reason expand",
    "refunds": "payment_intent amount reason metadata",
    "checkout/sessions": "mode payment_method_types line_items client_reference_id success_url cancel_url "
    "expires_at metadata payment_intent_data",
    "checkout/sessions/expire": "",
    "disputes/update": "evidence submit",
    "disputes/close": "",
    "files": "purpose file filename",
}


@dataclass
class Fault:
    """What goes wrong with the next request whose line matches: `before` or `after` it was executed."""

    line: str
    status: int | None = None
    body: bytes = b""
    drop: str | None = None
    hang: bool = False
    kept: bool = False  # Stripe had begun: it repeats this answer under the key


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    params: Json
    headers: Json
    key: str | None = None
    replayed: bool = False

    @property
    def place(self) -> tuple[str, str | None]:
        """Where Stripe keeps the answer."""
        return str(self.headers.get("authorization", "")).removeprefix("Bearer "), self.key

    @property
    def print(self) -> str:
        """What a key stands for."""
        return f"{self.path} {json.dumps(self.params, sort_keys=True)}"


@dataclass
class StandIn:
    """A running stand-in; `complaints` has to be empty at the end of a test."""

    accounts: dict[str, Account] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    kept: dict[tuple[str, str | None], tuple[str, int, Json] | None] = field(default_factory=dict)
    refused_keys: set[str] = field(default_factory=set)
    url: str = ""

    def __post_init__(self) -> None:
        self._lock, self._let_go = threading.RLock(), threading.Event()
        self._dropped: set[str] = set()

    @contextmanager
    def running(self) -> Iterator[StandIn]:
        """Serve on loopback meanwhile."""
        handler = type("Handler", (_Handler,), {"standin": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._let_go.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def account(self, secret_key: str = "sk_test_standin") -> Account:
        """What a key reaches."""
        return self.accounts.setdefault(secret_key, Account())

    def fail(self, line: str, **how: Any) -> None:
        """Let the next request that matches (`POST /v1/refunds`) fail."""
        self.faults.append(Fault(line, **how))

    def sent(self, line: str) -> list[Request]:
        """The requests that match, as they came."""
        return [r for r in self.requests if re.fullmatch(line, f"{r.method} {r.path}")]

    def forget_keys(self) -> None:
        """As after a day: idempotency keys are pruned."""
        self.kept.clear()

    def event(self, kind: str, about: Json, secret: str, *, event_id: str = "evt_1") -> tuple[bytes, Json]:
        """A signed event: body and headers."""
        event = {
            "id": event_id,
            "object": "event",
            "type": kind,
            "created": now(),
            "livemode": False,
            "api_version": stripe.api_version,
            "data": {"object": _public(about)},
        }
        raw = json.dumps(event)
        return raw.encode(), {
            "Stripe-Signature": stripe.WebhookSignature.generate_signature_header(raw, secret)
        }

    # --- one request

    def answer(self, request: Request, files: bytes) -> tuple[int, Any, str | None]:
        """(status, body, drop): what is answered, or that the connection is dropped."""
        with self._lock:
            self.requests.append(request)
            fault = self._fault(request)
        if fault is not None and fault.drop == "before":
            return 0, {}, "drop"
        if fault is not None and fault.status is not None:
            if fault.kept:
                self.kept[request.place] = (request.print, fault.status, json.loads(fault.body))
            return fault.status, fault.body, None
        status, body = self._once(request, files)
        if fault is not None and fault.hang:
            self._let_go.wait(30)
        return status, body, "drop" if fault is not None and (fault.drop or fault.hang) else None

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if re.fullmatch(fault.line, f"{request.method} {request.path}"):
                self.faults.remove(fault)
                return fault
        drops = self._behaviour(request).drops
        if drops and request.key and request.key not in self._dropped:
            self._dropped.add(request.key)
            return Fault("", drop=drops)
        return None

    def _behaviour(self, request: Request) -> Behaviour:
        token = str(request.params.get("payment_method"))
        known = [account.methods[token] for account in self.accounts.values() if token in account.methods]
        return TOKENS.get(known[0] if known else token, Behaviour())

    def _once(self, request: Request, files: bytes) -> tuple[int, Json]:
        """Stripe's idempotency: the first answer again, in use, or used for something else."""
        auth = str(request.headers.get("authorization", ""))
        secret_key, _ = place = request.place
        if not auth.startswith("Bearer sk_") or secret_key in self.refused_keys:
            return 401, invalid(None, "Invalid API Key provided").body
        self._check(request)
        if request.method != "POST" or request.key is None:
            return self._execute(secret_key, request, files)
        with self._lock:
            known = self.kept.get(place, ())
            if known is None:
                return 409, ApiError(409, "idempotency_error", "idempotency_key_in_use").body
            if known:
                if known[0] != request.print:
                    return 400, ApiError(400, "idempotency_error", None, "other parameters").body
                request.replayed = True
                return known[1], known[2]
            self.kept[place] = None
        status, body = self._execute(secret_key, request, files)
        with self._lock:
            self.kept[place] = (request.print, status, body)
        return status, body

    def _check(self, request: Request) -> None:
        wrong = []
        if request.headers.get("stripe-version") != stripe.api_version:
            wrong.append("no or another Stripe-Version")
        if request.method == "POST":
            if not request.key:
                wrong.append("no Idempotency-Key")
            kind = str(request.headers.get("content-type", ""))
            if not kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data; boundary=")):
                wrong.append(f"content type {kind}")
        self.complaints += [f"{request.method} {request.path}: {text}" for text in wrong]

    def _execute(self, secret_key: str, request: Request, files: bytes) -> tuple[int, Json]:
        with self._lock:
            try:
                account = self.account(secret_key)
                found = self._route(account, request, files)
                return 200, json.loads(json.dumps(_expanded(account, found, request.params)))
            except ApiError as error:
                return error.status, json.loads(json.dumps(error.body))

    def _route(self, account: Account, request: Request, files: bytes) -> Json:
        _, _, *parts = request.path.split("/")
        if parts[0] in ("checkout", "radar"):
            parts[:2] = ["/".join(parts[:2])]
        kind, object_id, action = [*parts, "", ""][:3]
        if request.method == "GET":
            return _read(account, kind, object_id, request.params)
        name = "/".join(p for p in (kind, action or ("update" if object_id else "")) if p)
        unknown = set(request.params) - set(_TAKES[name].split())
        if unknown:
            self.complaints.append(f"{name}: unknown {unknown}")
            raise invalid("parameter_unknown", str(unknown))
        body = request.params
        calls: dict[str, Callable[[], Json]] = {
            "payment_intents": lambda: account.create_intent(body),
            "payment_intents/capture": lambda: account.capture(
                account.find("payment_intent", object_id), body
            ),
            "payment_intents/cancel": lambda: account.cancel(account.find("payment_intent", object_id), body),
            "customers": lambda: account.create_customer(body),
            "refunds": lambda: account.create_refund(body),
            "checkout/sessions": lambda: account.create_session(body, self.url),
            "checkout/sessions/expire": lambda: account.expire_session(
                account.find("checkout.session", object_id)
            ),
            "disputes/update": lambda: account.update_dispute(account.find("dispute", object_id), body),
            "disputes/close": lambda: account.close_dispute(account.find("dispute", object_id)),
            "files": lambda: account.create_file(body, files),
        }
        return calls[name]()


_KINDS = {
    "payment_intents": "payment_intent",
    "refunds": "refund",
    "checkout/sessions": "checkout.session",
    "disputes": "dispute",
    "radar/early_fraud_warnings": "radar.early_fraud_warning",
    "balance_transactions": "balance_transaction",
}

_TOKENS = {
    "payment_methods": "payment_method",
    "tokens": "token",
    "confirmation_tokens": "confirmation_token",
}


def _read(account: Account, kind: str, object_id: str, query: Json) -> Json:
    if kind == "balance":
        return account.balance()
    if kind == "customers":
        return account.cards_of(object_id)
    if kind in _TOKENS:
        return account.find_token(_TOKENS[kind], object_id)
    if object_id:
        return account.find(_KINDS[kind], object_id)
    return account.listed(_KINDS[kind], query)


def _expanded(account: Account, found: Json, params: Json) -> Json:
    """The object as its caller sees it, with what `expand` asks for."""
    seen = _public(found)
    for path in (params.get("expand") or {}).values():
        _expand(account, seen, path.split("."))
    return seen


def _expand(account: Account, seen: Json, path: list[str]) -> None:
    name, *rest = path
    if name == "data":
        seen["data"] = [_public(row) for row in seen["data"]]
        for row in seen["data"]:
            _expand(account, row, rest)
        return
    if isinstance(seen.get(name), str) and seen[name] in account.objects:
        seen[name] = _public(account.objects[seen[name]])
    if rest and isinstance(seen.get(name), dict):
        _expand(account, seen[name], rest)


def _public(found: Json) -> Json:
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _nested(pairs: list[tuple[str, str]]) -> Json:
    """`a[b][0]=c` → {"a": {"b": {"0": "c"}}}."""
    tree: Json = {}
    for name, value in pairs:
        first, *rest = re.findall(r"[^\[\]]+", name)
        path = [first, *rest]
        at = tree
        for step in path[:-1]:
            at = at.setdefault(step, {})
        at[path[-1]] = value
    return tree


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._browsed(b""):
            self._serve({})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._browsed(raw):
            return
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/"):
            fields, content = _multipart(kind, raw)
            self._serve(fields, content)
        else:
            self._serve(_nested(parse_qsl(raw.decode(), keep_blank_values=True)))

    def _browsed(self, raw: bytes) -> bool:
        parts = urlsplit(self.path)
        found = browser.answer(self.standin, self.command, parts.path, parts.query, raw)
        if found is None:
            return False
        status, headers, body = found
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return True

    def _serve(self, params: Json, files: bytes = b"") -> None:
        parts = urlsplit(self.path)
        query = _nested(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = headers.get("idempotency-key")
        request = Request(self.command, parts.path, {**query, **params}, headers, key)
        status, body, drop = self.standin.answer(request, files)
        if drop:
            self.close_connection = True
            return
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Request-Id", "req_standin")
        if request.replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: Any) -> None:
        """The suite reads `requests` instead."""


def _multipart(kind: str, raw: bytes) -> tuple[Json, bytes]:
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw)
    fields: Json = {}
    content = b""
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename():
            content = part.get_payload(decode=True)
            fields["filename"] = part.get_filename()
        else:
            fields[name] = part.get_payload(decode=True).decode()
    return fields, content
