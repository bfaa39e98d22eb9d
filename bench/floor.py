"""The floor: bare Flask and a raw driver, writing as many rows as Till does and answering as many bytes.

It checks nothing and promises nothing; it is what the machine can do at best with this server and database.
"""

from __future__ import annotations

import json
import os
import uuid

import psycopg
from flask import Flask, Response, request
from jinja2 import Environment

app = Flask(__name__)
_connection: psycopg.Connection | None = None

PAGE = (
    "<!doctype html><html><body><h1>{{ title }}</h1><ul>{% for n in lines %}<li>{{ n }}</li>{% endfor %}"
    "</ul><form method=post>{% for n in fields %}<label>{{ n }}<input name={{ n }}></label>{% endfor %}"
    "<button>Pay {{ total }}</button></form>{{ filler }}</body></html>"
)
FILLER = "x" * 14_000
TEMPLATE = Environment(autoescape=True).from_string(PAGE)


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
    """A page with one SELECT."""
    one("read-3")
    return TEMPLATE.render(
        title="Pay", lines=["a", "b"], fields=list("abcdefgh"), total="53.95", filler=FILLER
    )


@app.post("/confirm")
def confirm() -> Response:
    """Create and confirm an intent: as many rows and commits as Till needs, without a gateway."""
    one("read-1")
    write(3)
    one("read-1")
    write(5, 3)
    write(3, 2)
    write(1, 2)
    write(5, 3)
    return Response('{"id":"x"}', 200, mimetype="application/json")
