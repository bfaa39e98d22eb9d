"""`flask serve`: migrate, make the demo merchant, then web server and worker, started and ended together."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from typing import Any

from app import migrations, settings
from app.services.checkout import demo

#: How long children may take to stop before they are killed.
STOP_SECONDS = 25
#: How long a probe of our own port waits for its answer.
PROBE_SECONDS = 2.0
#: A worker that dies more often than this in the window stops the whole.
MAX_RESTARTS, RESTART_WINDOW_SECONDS = 5, 60.0

_WORKER = ("-m", "flask", "--app", "wsgi", "worker-child")


def serve(*, with_demo: bool) -> int:
    """Run until a signal comes or the web server ends; the exit status. A dead worker is started again.

    Where to go is said once somebody answers there: whoever reads it, a person or a script, can go at once.
    """
    if not _port_is_free():
        host, port = settings.current().host, settings.current().port
        print(f"Port {port} of {host} is in use; choose another one with PORT=…", file=sys.stderr)
        return 1
    migrations.upgrade()
    unsaid = welcome(demo.make()) if with_demo and not settings.current().production else None
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    web, worker = _start("-m", "app.worker.web_server"), _start(*_WORKER)
    restarts: deque[float] = deque(maxlen=MAX_RESTARTS)
    while not stopping and web.poll() is None:
        if worker.poll() is not None:
            if len(restarts) == MAX_RESTARTS and time.monotonic() - restarts[0] < RESTART_WINDOW_SECONDS:
                break
            restarts.append(time.monotonic())
            worker = _start(*_WORKER)
        if unsaid and _answers():
            print(unsaid, flush=True)
            unsaid = None
        time.sleep(0.2)
    status = 0 if stopping else (web.returncode or worker.returncode or 1)
    _stop([web, worker])
    return status


def _port_is_free() -> bool:
    """Asked here, since granian would share the port with whoever has it (SO_REUSEPORT)."""
    current = settings.current()
    family = socket.AF_INET6 if ":" in current.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((current.host, current.port))
        except OSError:
            return False
    return True


def _answers() -> bool:
    """Whether a request comes back. Any answer will do: one of "not this host name" comes from us, too."""
    current = settings.current()
    probe = http.client.HTTPConnection(current.host, current.port, timeout=PROBE_SECONDS)
    try:
        probe.request("GET", "/healthz")
        return probe.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        probe.close()


def _start(*command: str) -> subprocess.Popen[bytes]:
    """A child that watches us and ends when we are gone.

    In a group of its own: Ctrl-C comes to us, and we end it in order. The web server's processes, told all
    at once by the terminal, wait for each other until they are killed.
    """
    return subprocess.Popen([sys.executable, *command, str(os.getpid())], process_group=0)


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
