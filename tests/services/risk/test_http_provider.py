"""A fraud service of the merchant's own: its word counts, and where it has none the merchant's choice does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.db import transaction
from app.kit import clock, signing
from app.models.access.tenant import Tenant
from app.providers.remote import fraud as remote
from app.services.checkout import payment
from app.services.operations import inbound_secrets
from app.services.payments import methods
from app.services.risk import fraud, screening
from app.services.risk.fraud import Context
from tests import risks
from tests.shops import GOOD, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")


class Service:
    """What the service answers, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.status, self.answer = 200, b'{"score": 0}'
        self.hangs = False
        self.over = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.asked.append((dict(self.headers), body))
                if service.hangs:
                    service.over.wait(30)
                    return
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(service.answer)))
                self.end_headers()
                self.wfile.write(service.answer)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/score"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def says(self, **answer: Any) -> None:
        """From now on it answers that."""
        self.answer = json.dumps(answer).encode()

    def close(self) -> None:
        """No more."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that is running."""
    running = Service()
    yield running
    running.close()


@pytest.fixture
def asking(shop: Shop, service: Service) -> Shop:
    """The shop, which asks that service."""
    return risks.choose(shop, fraud={"provider": "http", "url": service.url})


def test_it_is_asked_before_the_gateway_with_signed_facts_that_name_nobody(
    asking: Shop, service: Service
) -> None:
    session = asking.session()
    order = payment.Order("n1", email="ann@example.com", billing_address={"country": "DE"})
    actor = risks.shopper(asking, session.id)
    assert payment.pay_by_card(actor, session.id, card(GOOD), order).status == "completed"
    [(headers, body)] = service.asked
    secret = inbound_secrets.find(asking.actor.tenant_id, "fraud")
    assert secret is not None
    assert signing.verify_timestamped(headers["X-Webhook-Signature"], body, [secret], clock.now())
    facts = json.loads(body)
    assert (facts["amount"], facts["currency"], facts["card_brand"]) == (1620, "GBP", "VISA")
    assert (facts["billing_country"], facts["email_domain"]) == ("DE", "example.com")
    for text in ("4242", "ann@", risks.HERE):
        assert text not in body.decode()
    [decision] = risks.decisions(asking.intent(session))
    assert (decision.provider, decision.problem, decision.action) == ("http", None, "allow")


ANSWERS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"score": 59}, "allow", "succeeded"),
    (
        {"score": 60, "reasons": [{"code": "odd", "weight": 60, "text": "Odd"}]},
        "challenge",
        "requires_action",
    ),
    ({"score": 90}, "deny", "requires_payment_method"),
    ({"score": 5, "action": "deny"}, "deny", "requires_payment_method"),
    ({"score": 99, "action": "allow"}, "allow", "succeeded"),
)


def test_its_word_counts(asking: Shop, service: Service) -> None:
    for answer, action, status in ANSWERS:
        service.says(**answer)
        intent = risks.confirm(asking, risks.intent_of(asking))
        assert intent.status == status
        [decision] = risks.decisions(intent)
        assert (decision.action, decision.score) == (action, answer["score"])
        assert [reason["code"] for reason in decision.reasons] == [
            r["code"] for r in answer.get("reasons", [])
        ]


@pytest.mark.parametrize(
    ("status", "answer", "problem"),
    [(500, b"{}", "answered 500"), (200, b'{"score": 101}', "answered something else")],
)
def test_without_a_usable_answer_a_payment_is_challenged_and_the_journal_says_why(
    asking: Shop, service: Service, status: int, answer: bytes, problem: str
) -> None:
    service.status, service.answer = status, answer
    intent = risks.confirm(asking, risks.intent_of(asking))
    assert intent.status == "requires_action"
    [decision] = risks.decisions(intent)
    assert (decision.action, decision.problem, decision.score) == ("challenge", problem, 0)
    assert [reason["code"] for reason in decision.reasons] == ["provider_unavailable"]
    [told] = risks.facts(intent, "fraud.provider_failed")
    assert told.data["object"]["problem"] == problem


def test_a_slow_service_is_given_up_in_time(
    asking: Shop, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.2)
    service.hangs = True
    intent = risks.confirm(asking, risks.intent_of(asking))
    assert intent.status == "requires_action"
    assert risks.decisions(intent)[0].problem == "timed out"


def test_what_no_answer_means_is_the_merchants_choice(shop: Shop, service: Service) -> None:
    nobody = service.url.replace(service.url.rsplit(":", 1)[1], "1/score")
    for choice, status in (("allow", "succeeded"), ("deny", "requires_payment_method")):
        chosen = risks.choose(shop, fraud={"provider": "http", "url": nobody, "on_failure": choice})
        intent = risks.confirm(chosen, risks.intent_of(chosen))
        assert intent.status == status
        assert risks.decisions(intent)[0].problem == "could not be reached"
    assert service.asked == []


def test_a_total_that_moved_since_it_was_asked_is_no_answer(asking: Shop, service: Service) -> None:
    intent = risks.intent_of(asking)
    method = methods.tokenize_card(asking.actor, card(GOOD))
    said = screening.ask(asking.actor, intent, method)
    assert said is not None and said.assessment is not None
    decided = risks.open_with(asking, intent, method, said, amount=intent.amount + 1)
    assert (decided.problem, decided.action) == ("not asked", "challenge")


def test_a_score_on_demand_asks_it_too(asking: Shop, service: Service) -> None:
    service.says(score=77)
    made = fraud.score(asking.actor, risks.intent_of(asking).id, Context())
    assert (made.score, made.action, made.source) == (77, "challenge", "score")
    assert len(service.asked) == 1


def test_a_service_that_is_away_is_left_alone_for_a_while_and_tried_again(
    shop: Shop, service: Service
) -> None:
    """Each shopper would wait for it; who has another merchant's service fail them opens nobody's breaker."""
    service.status = 503
    asking = risks.choose(shop, fraud={"provider": "http", "url": service.url})
    intents_ = [risks.intent_of(asking) for _ in range(7)]
    for intent in intents_[:6]:
        assert risks.confirm(asking, intent).status == "requires_action"
    assert len(service.asked) == 5
    assert [risks.decisions(intent)[0].problem for intent in intents_[4:6]] == [
        "answered 503",
        "left alone after failures",
    ]
    other = risks.another()
    other = risks.choose(other, fraud={"provider": "http", "url": service.url})
    service.status = 200
    assert risks.confirm(other, risks.intent_of(other)).status == "succeeded"
    with later(31):
        assert risks.confirm(asking, intents_[6]).status == "succeeded"
    assert len(service.asked) == 7


def test_a_service_that_answers_nonsense_at_once_is_asked_again_each_time(
    asking: Shop, service: Service
) -> None:
    for status, answer in ((401, b"{}"), (200, b"nonsense")) * 3:
        service.status, service.answer = status, answer
        risks.confirm(asking, risks.intent_of(asking))
    assert len(service.asked) == 6


@pytest.mark.parametrize(
    ("secrets", "problem"),
    [({"fraud": "v1:lost:AAAA"}, "DecryptionError"), ({}, "there is no secret to sign with")],
)
def test_a_secret_that_is_lost_is_no_answer_and_no_error(
    asking: Shop, service: Service, secrets: dict[str, str], problem: str
) -> None:
    with transaction() as db:
        db.get_one(Tenant, asking.actor.tenant_id).inbound_secrets = secrets
    intent = risks.confirm(asking, risks.intent_of(asking))
    assert intent.status == "requires_action"
    assert risks.decisions(intent)[0].problem == problem
    assert service.asked == []
