"""`flask demo --volume`: weeks of trade that nothing tells from the real thing."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

from flask import Flask
from sqlalchemy import func, select

from app.db import reading
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.access import keys
from app.services.checkout import finding, links
from app.services.events import audit, webhooks
from app.services.operations import day_figures, invariants, metrics


def test_weeks_of_trade_keep_every_invariant_and_fill_the_charts(app: Flask, database: str) -> None:
    result = app.test_cli_runner().invoke(args=["demo", "--json", "--volume", "80"])
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert invariants.check() == []
    assert audit.verify(made["tenant_id"]) == []
    actor = keys.authenticate(made["keys"]["secret"])
    with reading() as db:
        statuses = Counter(db.scalars(select(PaymentIntent.status)))
        first, last = db.execute(
            select(func.min(PaymentIntent.created_at), func.max(PaymentIntent.created_at))
        ).one()
        surfaces = set(db.scalars(select(CheckoutSession.surface)))
        refunded = db.scalar(select(func.sum(Refund.amount))) or 0
        captured = db.scalar(select(func.sum(PaymentIntent.amount_captured)))
    assert statuses["succeeded"] > 40 and statuses["canceled"] > 0
    assert surfaces >= {"checkout", "link"}
    assert last - first > timedelta(weeks=6) and last < clock.now()
    today = metrics.today()
    over = metrics.overview(actor, today - timedelta(days=60), today)
    money = over.total.money
    assert sum(of.get("captured", 0) for of in money.values()) == captured
    assert sum(of.get("refunded", 0) for of in money.values()) == refunded
    assert over.total.begun == sum(1 for _ in sessions_of())
    fresh = day_figures.between(actor, today - timedelta(days=60), today)
    day_figures.forget(actor.tenant_id, "test")
    assert day_figures.between(actor, today - timedelta(days=60), today) == fresh
    assert len(links.list_page(actor).data) == 4
    assert finding.everything(actor, "example.com").customers
    assert [endpoint.description for endpoint in webhooks.list_all(actor)] == ["Demo"]


def sessions_of() -> list[str]:
    with reading() as db:
        return list(db.scalars(select(CheckoutSession.id)))
