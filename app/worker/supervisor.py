"""`flask serve`: migrate, make the demo merchant, then web server and worker in one process group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from app import migrations, settings
from app.services.checkout import demo

#: How long children may take to stop before they are killed.
STOP_SECONDS = 20


def serve(*, with_demo: bool) -> int:
    """Run until a signal comes or a child ends; the exit status."""
    migrations.upgrade()
    if with_demo:
        print(welcome(demo.make()), flush=True)
    children = [_start(_web_command()), _start([*_flask(), "worker-child", str(os.getpid())])]
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    status = 0
    while not stopping:
        ended = [child for child in children if child.poll() is not None]
        if ended:
            status = ended[0].returncode or 1
            break
        time.sleep(0.2)
    _stop(children)
    return status


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """A child in our process group, so that Ctrl-C reaches all of them."""
    return subprocess.Popen(command)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()


def _flask() -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi"]


def _web_command() -> list[str]:
    """granian with one blocking thread a process: the fastest here (docs/adr/0005)."""
    current = settings.current()
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        current.host,
        "--port",
        str(current.port),
        "--workers",
        str(current.web_processes),
        "--blocking-threads",
        "1" if current.web_processes > 1 else "4",
        "--no-ws",
        "--log-level",
        "warning",
        "wsgi:app",
    ]


def welcome(made: dict[str, Any]) -> str:
    """What a new user needs first: a page, a sign-in, keys and a curl line."""
    base = settings.current().base_url
    secret = made["keys"]["secret"]
    curl = (
        f"curl {base}/checkout-sessions -H 'x-api-key: {secret}' -H 'Content-Type: application/json' \\\n"
        '    -d \'{"amount": 12.50, "currency_code": "GBP", "title": "A first payment",'
        ' "customer_email": "you@example.com"}\''
    )
    return "\n".join(
        (
            "",
            f"  Till is running for {made['tenant_name']} (test mode)",
            "",
            f"  Pay something   {base}/l/{made['link_slug']}",
            f"  Dashboard       {base}/dashboard",
            f"    sign in with  {made['user']['email']}  {made['user']['password']}",
            f"    with TOTP     {made['mfa_user']['email']}  {made['mfa_user']['password']}"
            f"  (secret {made['mfa_user']['totp_secret']})",
            f"  Secret key      {secret}",
            f"  Publishable key {made['keys']['publishable']}",
            f"  API reference   {base}/docs",
            "",
            "  Make a payment page by API (open the `url` of the answer, pay with 4242 4242 4242 4242):",
            f"  {curl}",
            "",
        )
    )
