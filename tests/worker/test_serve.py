"""`flask serve`: everything by one command, and nothing left when it ends, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.databases import environment
from tests.workers import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def serving(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """A server as from a terminal, over a fresh SQLite database."""
    child = _serve(tmp_path, port)
    yield child
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _serve(folder: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "serve"],
        cwd=ROOT,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment(f"sqlite:///{folder / 'till.db'}", folder), "PORT": str(port)},
    )


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _banner(serving: subprocess.Popen[str]) -> str:
    """What it prints up to the curl command's last line."""
    assert serving.stdout is not None
    said = ""
    for line in serving.stdout:
        said += line
        if "customer_email" in line:
            return said
    raise AssertionError(f"it ended before it said where to go: {said}")


def _processes() -> dict[int, int]:
    """The living processes: id to parent's id."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(row[0]): int(row[1]) for row in rows if not row[2].startswith("Z")}


def _family(leader: int) -> set[int]:
    """A process and all that descend from it."""
    living, found = _processes(), {leader}
    while more := {pid for pid, parent in living.items() if parent in found} - found:
        found |= more
    return found


def _children(parent: int) -> dict[str, int]:
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return {
        "worker" if "worker-child" in row[2] else "web": int(row[0]) for row in rows if int(row[1]) == parent
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_to_go_heals_its_worker_and_stops_clean(
    serving: subprocess.Popen[str], port: int, tmp_path: Path, number: signal.Signals
) -> None:
    said = _banner(serving)
    assert _answers(port), "whoever reads the addresses can use them at once"
    first = _children(serving.pid)["worker"]
    os.kill(first, signal.SIGKILL)
    until(lambda: _children(serving.pid).get("worker", first) != first, seconds=20)
    refused = _serve(tmp_path, port)
    refusal, _ = refused.communicate(timeout=40)
    assert refused.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in refusal
    assert _answers(port)
    family = _family(serving.pid)
    assert len(family) >= 4, "supervisor, worker, web server and its process"
    if number == signal.SIGINT:
        os.killpg(serving.pid, number)  # as Ctrl-C does
    else:
        serving.send_signal(number)
    after, _ = serving.communicate(timeout=30)
    assert family.isdisjoint(_processes())
    assert serving.returncode == 0
    for word in (
        f"http://127.0.0.1:{port}/l/summer-promo",
        "/dashboard",
        "owner@demo.test",
        "sk_test_",
        "curl ",
    ):
        assert word in said
    assert "Till is running" not in after, "it is said once"
    assert "Traceback" not in said + after


def test_a_killed_server_leaves_nobody_on_the_port(serving: subprocess.Popen[str], port: int) -> None:
    until(lambda: _answers(port), seconds=40)
    until(lambda: len(_children(serving.pid)) == 2)
    family = _family(serving.pid)
    serving.kill()
    serving.wait()
    until(lambda: family.isdisjoint(_processes()), seconds=20)
    assert not _answers(port)
