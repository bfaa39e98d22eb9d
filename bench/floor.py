"""The floor: bare Flask and a raw driver, writing as many rows as Till does and answering as many bytes.

It checks nothing and promises nothing; it is what the machine can do at best with this server and database.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import psycopg
from flask import Flask, Response, request
from jinja2 import Environment

app = Flask(__name__)
_connection: psycopg.Connection | None = None

FIELDS = [(f"field-{n}", f"Label {n}", "What to type here") for n in range(12)]
CARDS = [(f"4242 4242 4242 {n:04}", f"What card {n} does") for n in range(41)]
LINES = [
    {"name": "Stoneware mug", "quantity": 2, "price": "30.00"},
    {"name": "Tea", "quantity": 1, "price": "19.95"},
]
METHODS = ["paypal", "ideal", "bancontact", "klarna", "promptpay"]
TEMPLATE = Environment(autoescape=True).from_string((Path(__file__).parent / "floor.html").read_text())


def connection() -> psycopg.Connection:
    """This process's one connection."""
    global _connection
    if _connection is None:
        _connection = psycopg.connect(os.environ["FLOOR_DATABASE"], prepare_threshold=1)
    return _connection


def prepare(url: str) -> None:
    """The tables of the floor."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP TABLE IF EXISTS floor_rows")
        db.execute("CREATE TABLE floor_rows (id text PRIMARY KEY, kind text, body jsonb, at timestamptz)")
        db.execute("CREATE INDEX ON floor_rows (kind, id)")
        db.execute(
            "INSERT INTO floor_rows SELECT 'read-' || n, 'session', %s, now() "
            "FROM generate_series(1, 1000) n",
            (json.dumps({"padding": "x" * 1000}),),
        )


INSERT = "INSERT INTO floor_rows VALUES (%s, %s, %s, now())"


def write(rows: int, updates: int = 1) -> str:
    """Write `rows` rows and update some, in one transaction, one statement each."""
    db, body = connection(), json.dumps({"lines": [1, 2, 3], "padding": "x" * 800})
    last = ""
    with db.transaction():
        for number in range(rows):
            last = str(uuid.uuid4())
            db.execute(INSERT, (last, f"kind-{number}", body))
        for _ in range(updates):
            db.execute("UPDATE floor_rows SET body = %s WHERE id = %s", (body, last))
    return last


def change(row_id: str) -> None:
    """Update one row."""
    db, body = connection(), json.dumps({"lines": [1, 2, 3], "padding": "x" * 800})
    db.execute("UPDATE floor_rows SET body = %s WHERE id = %s", (body, row_id))
    db.commit()


def one(row_id: str) -> str:
    """Read one row."""
    db = connection()
    row = db.execute("SELECT body::text FROM floor_rows WHERE id = %s", (row_id,)).fetchone()
    db.commit()
    return row[0] if row else "{}"


@app.post("/create")
def create() -> Response:
    """A session: key look-up, then session, calculation, journal and idempotency rows."""
    one("read-1")
    request.get_json()
    return Response(json.dumps({"id": write(4), "padding": "x" * 1100}), 201, mimetype="application/json")


@app.get("/read")
def read() -> Response:
    """A session: key look-up and the row."""
    one("read-1")
    return Response(one("read-2"), mimetype="application/json")


@app.get("/page")
def page() -> str:
    """A page of about the same things, without checks, words or escaping helpers, and with one SELECT."""
    one("read-3")
    return TEMPLATE.render(
        title="Pay Demo Store",
        shop="Demo Store",
        lines=LINES,
        total="53.95",
        methods=METHODS,
        fields=FIELDS,
        cards=CARDS,
    )


@app.post("/confirm")
def confirm() -> Response:
    """Create and confirm an intent: as many rows, changes and commits as Till and its sandbox need.

    The call's log row is left out; Till writes those in bundles.
    """
    one("read-1")
    write(3)  # intent, journal, idempotency
    one("read-1")
    kept = write(1, 0)  # the second call's key
    write(7, 1)  # counter, decision, attempt, four of the journal; the intent
    write(3, 0)  # the gateway's payment, capture and notice
    write(5, 2)  # ledger, two of the journal; attempt and intent
    change(kept)
    return Response('{"id":"x"}', 200, mimetype="application/json")
