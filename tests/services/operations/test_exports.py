"""Exports: every format read back, constant order over chunks, both places, a worker that dies, clean-up."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pyarrow.parquet as parquet
import pytest
from pydantic import SecretStr

from app import settings
from app.db import reading, transaction
from app.domain.actor import Mode, TenantProfile, system_actor
from app.domain.errors import DomainError, Gone, InvalidRequest, NotFound, ServiceUnavailable, Unprocessable
from app.kit import clock
from app.models.operations.export import Export
from app.models.payments.attempt import Attempt
from app.services.ledger import postings
from app.services.operations import exports, jobs, payment_metrics
from app.services.operations import settings as tenant_settings
from app.services.operations.exporting import datasets, files, places
from app.services.operations.exports import ExportDraft
from app.services.payments import refunds
from tests import stores, workers
from tests.accounts import account
from tests.disputes import FRAUD, told
from tests.shops import NO_FUNDS, Shop, later, make, moment


@pytest.fixture(scope="module")
def store() -> Iterator[stores.Store]:
    with stores.running() as running:
        running.make("finance")
        yield running


def use(**changes: Any) -> None:
    secret = changes.get("export_s3_secret_access_key")
    if secret:
        changes["export_s3_secret_access_key"] = SecretStr(secret)
    settings.use(settings.current().model_copy(update=changes))


def sell(shop: Shop, count: int = 2) -> None:
    """So many sales of 16.20, the first refunded by 5.00, and a decline before them."""
    first = shop.session()
    shop.pay(first, NO_FUNDS, "declined")
    shop.pay(first, nonce="good")
    for _ in range(count - 1):
        shop.pay(shop.session())
    refunds.send(refunds.create(shop.actor, shop.intent(first).id, 500, "=cmd|' /C calc'!A0").id)


def done(shop: Shop, **draft: Any) -> tuple[Export, bytes]:
    """An export that is asked for and written; the row and the file."""
    export, _ = exports.create(
        shop.actor, ExportDraft(**{"dataset": "transactions", "format": "csv", **draft})
    )
    exports.run(export.id)
    found, _ = exports.get(shop.actor, export.job_id)
    assert found.rows_expected == found.rows_written, "counted before it is written, for the bar"
    path = settings.current().data_dir / "exports" / exports.file_name(found)
    return found, path.read_bytes() if path.exists() else b""


def rows_of(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode())))


def drafts() -> list[Path]:
    return list((settings.current().data_dir / "exports").glob(".*"))


def test_csv_has_every_charge_and_refund_in_order(shop: Shop) -> None:
    tenant_settings.change(shop.actor, {"gl_accounts": {"capture": "200", "refund": "210"}})
    sell(shop)
    export, raw = done(shop)
    rows = rows_of(raw)
    assert [(r["type"], r["status"], r["amount"], r["gl_account"]) for r in rows] == [
        ("charge", "declined", "1620", ""),
        ("charge", "captured", "1620", "200"),
        ("charge", "captured", "1620", "200"),
        ("refund", "succeeded", "500", "210"),
    ]
    assert rows[0]["decline_code"] == "insufficient_funds"
    assert (rows[1]["brand"], rows[1]["last4"], rows[1]["currency"]) == ("VISA", "4242", "GBP")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows[1]["created_at"])
    assert (export.rows_written, export.size_bytes) == (4, len(raw))
    assert export.sha256 == hashlib.sha256(raw).hexdigest()
    assert drafts() == []


def test_formulas_are_quoted(shop: Shop) -> None:
    sell(shop)
    [refund] = [row for row in rows_of(done(shop)[1]) if row["type"] == "refund"]
    assert refund["reason_text"] == "'=cmd|' /C calc'!A0"
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"):
        assert files.cell(text) == "'" + text
    assert files.cell(-5) == -5
    assert files.cell("4.2 = x") == "4.2 = x"


def test_json_and_parquet_say_the_same_as_csv(shop: Shop) -> None:
    sell(shop)
    as_csv = rows_of(done(shop)[1])
    as_json = json.loads(done(shop, format="json")[1])
    table = parquet.read_table(io.BytesIO(done(shop, format="parquet")[1]))
    as_parquet = table.to_pylist()
    assert [r["id"] for r in as_csv] == [r["id"] for r in as_json] == [r["id"] for r in as_parquet]
    assert [r["amount"] for r in as_json] == [r["amount"] for r in as_parquet] == [1620, 1620, 1620, 500]
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    assert [clock.to_rfc3339(r["created_at"]) for r in as_parquet] == [r["created_at"] for r in as_json]
    assert as_json[3]["reason_text"] == "=cmd|' /C calc'!A0", "only spreadsheets run formulas"


def test_an_empty_export_is_a_good_file(shop: Shop) -> None:
    assert rows_of(done(shop)[1]) == []
    assert json.loads(done(shop, format="json")[1]) == []
    assert parquet.read_table(io.BytesIO(done(shop, format="parquet")[1])).num_rows == 0


def test_a_bank_statement_is_the_ledger(shop: Shop) -> None:
    tenant_settings.change(shop.actor, {"gl_accounts": {"capture": "200"}})
    sell(shop)
    assert postings.MERCHANT == datasets.MERCHANT_ACCOUNT
    balance = -postings.balances(shop.actor)[(postings.MERCHANT, "GBP")]
    xero = rows_of(done(shop, format="xero", filters={"currency": "GBP"})[1])
    assert [(r["*Amount"], r["Transaction Type"], r["Account Code"]) for r in xero] == [
        ("16.20", "CREDIT", "200"),
        ("16.20", "CREDIT", "200"),
        ("-5.00", "DEBIT", ""),
    ]
    assert sum(int(r["*Amount"].replace(".", "")) for r in xero) == balance == 2740
    ofx = done(shop, format="qbo", filters={"currency": "GBP"})[1].decode("ascii")
    assert ofx.startswith("OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\n")
    assert re.findall(r"<TRNAMT>([-0-9.]+)", ofx) == ["16.20", "16.20", "-5.00"]
    assert len(set(re.findall(r"<FITID>(\w+)", ofx))) == 3
    assert "<CURDEF>GBP" in ofx
    assert "<BALAMT>27.40<" in ofx
    for tag in ("OFX", "SONRS", "SIGNONMSGSRSV1", "STMTTRNRS", "STMTRS", "BANKTRANLIST", "LEDGERBAL"):
        assert ofx.count(f"<{tag}>") == ofx.count(f"</{tag}>") == 1
    assert rows_of(done(shop, format="xero", filters={"currency": "EUR"})[1]) == []


def test_a_statement_of_a_span_names_the_balance_and_not_the_spans_sum(shop: Shop) -> None:
    with later(-5 * 86_400):
        shop.pay(shop.session())
        first = clock.now()
    with later(-3 * 86_400):
        shop.pay(shop.session())
    since, until = clock.now() - timedelta(days=4), clock.now() - timedelta(days=2)
    asked = {"format": "qbo", "filters": {"currency": "GBP"}}
    ofx = done(shop, since=since, until=until, **asked)[1].decode("ascii")
    assert re.findall(r"<TRNAMT>([-0-9.]+)", ofx) == ["16.20"]
    assert "<BALAMT>32.40<" in ofx
    assert f"<DTSTART>{since:%Y%m%d%H%M%S}" in ofx
    whole = done(shop, **asked)[1].decode("ascii")
    assert "<BALAMT>32.40<" in whole
    assert f"<DTSTART>{first:%Y%m%d%H%M%S}" in whole, "the first movement"
    nothing = done(shop, since=until, **asked)[1].decode("ascii")
    assert ("<STMTTRN>" in nothing, "<BALAMT>32.40<" in nothing) == (False, True)


@pytest.mark.parametrize(
    ("currency", "amount", "major"), [("JPY", 1_500, "1500"), ("KWD", 1_234, "1.234"), ("GBP", 5, "0.05")]
)
def test_major_units_have_their_currencys_decimals(
    shop: Shop, currency: str, amount: int, major: str
) -> None:
    from tests import treasuries

    treasuries.pay(shop, amount, "4242424242424242", currency)
    [row] = rows_of(done(shop, format="xero", filters={"currency": currency})[1])
    assert (row["*Amount"], row["Currency"]) == (major, currency)
    ofx = done(shop, format="qbo", filters={"currency": currency})[1].decode("ascii")
    assert f"<TRNAMT>{major}<" in ofx
    assert f"<BALAMT>{major}<" in ofx
    [exact] = json.loads(done(shop, format="json")[1])
    assert (exact["amount"], exact["currency"]) == (amount, currency)


def test_chunks_leave_nothing_out_and_nothing_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the same instant lie over a border of chunks."""
    for _ in range(5):
        shop.pay(shop.session())
    with transaction() as db:
        db.query(Attempt).update({Attempt.created_at: moment("2026-01-01T00:00:00+00:00")})
    monkeypatch.setattr(datasets, "CHUNK", 2)
    ids = [row["id"] for row in rows_of(done(shop)[1])]
    assert len(ids) == len(set(ids)) == 5


def test_the_span_and_the_filters_choose(shop: Shop) -> None:
    sell(shop)
    now = clock.now()
    with transaction() as db:
        oldest = db.query(Attempt).order_by(Attempt.id).first()
        assert oldest is not None
        oldest.created_at = now - timedelta(days=40)
    everything = rows_of(done(shop)[1])
    recent = rows_of(done(shop, since=now - timedelta(days=1))[1])
    old = rows_of(done(shop, until=now - timedelta(days=1))[1])
    assert (len(everything), len(recent), len(old)) == (4, 3, 1)
    assert {r["status"] for r in rows_of(done(shop, filters={"status": "captured"})[1])} == {"captured"}
    assert rows_of(done(shop, filters={"currency": "EUR"})[1]) == []
    own = account(shop.actor)
    told(shop.actor, FRAUD)
    for connector, charges, disputes in (("sandbox", 5, 1), (own.id, 1, 1), ("stripe", 0, 0)):
        chosen: dict[str, Any] = {"filters": {"connector": connector}}
        assert len(rows_of(done(shop, **chosen)[1])) == charges
        assert len(rows_of(done(shop, dataset="chargebacks", **chosen)[1])) == disputes


def test_a_merchants_export_holds_its_own_rows_of_its_mode(shop: Shop) -> None:
    from tests import treasuries

    other = make("Another shop")
    told(shop.actor, FRAUD)
    treasuries.settled(shop)
    export, _ = done(shop)
    asked: list[dict[str, Any]] = [{"dataset": name} for name in datasets.DATASETS]
    asked.append({"format": "xero", "filters": {"currency": "GBP"}})
    for draft in asked:
        assert rows_of(done(shop, **draft)[1]), draft
        for stranger in (other, replace(shop, actor=replace(shop.actor, mode=Mode.LIVE))):
            assert rows_of(done(stranger, **draft)[1]) == [], draft
    with pytest.raises(NotFound):
        exports.get(other.actor, export.job_id)
    with pytest.raises(NotFound):
        exports.get(replace(shop.actor, mode=Mode.LIVE), export.job_id)


def test_running_twice_writes_once(shop: Shop) -> None:
    export, raw = done(shop)
    shop.pay(shop.session())
    exports.run(export.id)
    again, _ = exports.get(shop.actor, export.job_id)
    assert (again.runs, again.sha256) == (1, hashlib.sha256(raw).hexdigest())


def test_what_cannot_be_served_is_refused(shop: Shop) -> None:
    first, second = moment("2026-01-01T00:00:00+00:00"), moment("2026-02-01T00:00:00+00:00")
    statement = {"format": "xero", "filters": {"currency": "GBP", "status": "captured"}}
    drafts_and_codes: list[tuple[dict[str, Any], str]] = [
        ({"filters": {"nonsense": "x"}}, "unsupported_filter"),
        ({"dataset": "weather"}, "dataset_not_available"),
        ({"format": "qbo"}, "currency_required"),
        (statement, "unsupported_filter"),
        ({"destination": "s3://finance/x"}, "destination_not_configured"),
        ({"destination": "ftp://finance/x"}, "invalid_destination"),
        ({"destination": "/etc"}, "invalid_destination"),
        ({"since": second, "until": first}, "invalid_request"),
        ({"since": moment("9999-01-01T00:00:00+00:00")}, "invalid_request"),
    ]
    for draft, code in drafts_and_codes:
        with pytest.raises((InvalidRequest, Unprocessable)) as refused:
            exports.create(shop.actor, ExportDraft(**{"dataset": "transactions", "format": "csv", **draft}))
        assert refused.value.code == code, draft
    assert jobs.list_page(shop.actor).data == []


def test_without_pyarrow_parquet_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unprocessable) as refused:
        exports.create(shop.actor, ExportDraft("transactions", "parquet"))
    assert refused.value.code == "unsupported_format"


def test_too_many_at_once_are_refused(shop: Shop) -> None:
    for _ in range(exports.MAX_OPEN):
        exports.create(shop.actor, ExportDraft("transactions", "csv"))
    with pytest.raises(Unprocessable):
        exports.create(shop.actor, ExportDraft("transactions", "csv"))


def test_a_store_gets_the_whole_file(shop: Shop, store: stores.Store) -> None:
    use(**store.settings("s3://finance/{tenant}"))
    sell(shop)
    export, nothing = done(shop, destination="s3://finance/test-shop/2026")
    assert nothing == b""
    where = exports.location(export)
    assert where == f"s3://finance/test-shop/2026/{exports.file_name(export)}"
    link = exports.link(export)
    assert link is not None
    assert link.startswith(store.url)
    assert httpx.get(link.split("?")[0]).status_code == 403, "only the signature opens it"
    raw = httpx.get(link).content
    assert hashlib.sha256(raw).hexdigest() == export.sha256
    assert len(rows_of(raw)) == 4
    assert drafts() == []


def test_a_place_outside_the_operators_is_refused(tmp_path: Path) -> None:
    """No database is asked: the credentials are the installation's, and a merchant reaches its own place."""
    before = settings.current()
    who = system_actor(TenantProfile("ten_1", "test-shop", "Test shop", "GBP"), "test")
    use(export_s3_roots=["s3://finance/{tenant}", "s3://shared"])
    try:
        for fine in ("s3://finance/test-shop", "s3://finance/test-shop/a/", "s3://shared", "s3://shared/x"):
            places.check(who, fine)
        for bad in (
            "s3://finance",
            "s3://finance/another",
            "s3://finance/test-shop-2",
            "s3://other/test-shop",
            "s3://finance/test-shop/../another",
            "s3://finance//test-shop",
        ):
            with pytest.raises(DomainError) as refused:
                places.check(who, bad)
            assert refused.value.code in ("destination_not_allowed", "invalid_destination")
    finally:
        settings.use(before)


def test_a_store_that_is_not_there_fails_the_job_and_keeps_no_draft(shop: Shop, store: stores.Store) -> None:
    use(**store.settings("s3://nobody-made-this"))
    export, _ = exports.create(shop.actor, ExportDraft("transactions", "csv", "s3://nobody-made-this/x"))
    with pytest.raises(ServiceUnavailable) as failed:
        exports.run(export.id)
    assert "secret" not in str(failed.value)
    assert exports.get(shop.actor, export.job_id)[0].finished_at is None
    assert drafts() == []


@pytest.mark.parametrize("point", ["export_written", "export_delivered"])
def test_a_worker_that_dies_leaves_one_whole_file(
    shop: Shop, database: str, tmp_path: Path, point: str
) -> None:
    sell(shop)
    export, _ = exports.create(shop.actor, ExportDraft("transactions", "csv"))
    dying = workers.start(database, tmp_path, TILL_FAILPOINT=point)
    assert dying.wait(20) == 137
    assert exports.get(shop.actor, export.job_id)[0].finished_at is None
    with workers.running(database, tmp_path):
        workers.until(lambda: exports.get(shop.actor, export.job_id)[1].status == "done")
    found, _ = exports.get(shop.actor, export.job_id)
    folder = tmp_path / "exports"
    assert found.runs == 2
    assert [path.name for path in folder.iterdir()] == [exports.file_name(found)]
    raw = (folder / exports.file_name(found)).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == found.sha256
    assert len(rows_of(raw)) == 4


def test_files_are_dropped_when_their_time_is_up(shop: Shop) -> None:
    export, raw = done(shop)
    assert raw
    link = exports.link(export)
    assert link is not None
    token = link.rsplit("/", 1)[1]
    assert exports.open_link(token)[0].read_bytes() == raw
    with later(901), pytest.raises(NotFound):
        exports.open_link(token)
    with later(8 * 24 * 3600):
        assert exports.clean() == 1
        assert exports.clean() == 0
    with pytest.raises(Gone):
        exports.open_link(token)
    kept, _ = exports.get(shop.actor, export.job_id)
    assert (exports.link(kept), kept.rows_written) == (None, 0)


def test_the_journal_says_who_took_what(shop: Shop) -> None:
    from app.services.events import timeline

    export, _ = done(shop)
    told = timeline.of_entity(shop.actor, export.id)
    assert [(entry.type, entry.actor_id) for entry in told] == [
        ("export.created", shop.actor.id),
        ("export.finished", "system"),
    ]


def test_nothing_is_kept_open_while_a_file_is_written(shop: Shop) -> None:
    """Each chunk is its own short query: no transaction stands while the disk or the store is slow."""
    from app.db import in_transaction

    sell(shop)
    export, _ = exports.create(shop.actor, ExportDraft("transactions", "csv"))
    with reading() as db:
        row = db.get_one(Export, export.id)
    for _ in datasets.DATASETS["transactions"].rows(row, {}):
        assert not in_transaction()


def test_chargebacks_are_the_disputes(shop: Shop) -> None:
    from tests.disputes import FRAUD, INQUIRY, told

    chargeback, inquiry = told(shop.actor, FRAUD), told(shop.actor, INQUIRY)
    rows = rows_of(done(shop, dataset="chargebacks")[1])
    assert [(r["id"], r["kind"], r["amount"]) for r in rows] == [
        (chargeback.id, "chargeback", "2000"),
        (inquiry.id, "inquiry", "2000"),
    ]
    assert (rows[0]["reason_code"], rows[0]["payment_intent_id"]) == ("fraud", chargeback.intent_id)
    assert rows_of(done(shop, dataset="chargebacks", filters={"status": "lost"})[1]) == []
    assert rows_of(done(shop, dataset="chargebacks", until=chargeback.received_at)[1]) == []
    assert payment_metrics.report(shop.actor).total.chargeback_rate == 0.5


def test_settlements_are_the_lines_of_statements(shop: Shop) -> None:
    from tests import treasuries

    treasuries.settled(shop)
    rows = rows_of(done(shop, dataset="settlements", until=None)[1])
    [charge] = [row for row in rows if row["type"] == "charge"]
    assert (charge["gross"], charge["currency"], charge["connector"]) == ("10160", "GBP", "sandbox")
    assert int(charge["gross"]) - int(charge["fee"]) == int(charge["net"])
    assert charge["transaction_id"].startswith("ch_")
    assert charge["settlement_id"].startswith("set_")
    assert rows_of(done(shop, dataset="settlements", filters={"currency": "EUR"})[1]) == []
