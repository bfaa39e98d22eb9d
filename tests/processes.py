"""Programs in processes of their own, which may die: forked from one that has loaded everything already.

To load Till takes two seconds; what a test is about is what the process leaves behind. The child is a real
process: its own environment, settings and connections, its own death.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.databases import environment

#: The exit status of a process that died at its fail point (app/kit/failpoints.py).
DIED = 137
SECONDS = 60

#: What the process that is forked runs: each line it reads is a program, each line it writes a status.
_FORKS = """
import json, os, sys, traceback
import app.factory, tests.finalizations, tests.shops
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
else:
    os._exit(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(said, 1)
os.dup2(said, 2)
os.environ.clear()
os.environ.update(asked["environment"])
sys.argv = ["-c", *asked["arguments"]]
exec(compile(asked["program"], "<a program of the tests>", "exec"), {"__name__": "__main__"})
"""


def run(program: str, *arguments: str, url: str, folder: Path, at: str | None = None) -> int:
    """Run a program over a database; its exit status, which is `DIED` where it dies at the fail point `at`.

    Anything but that and 0 fails the test, with what the program said.
    """
    variables = environment(url, folder)
    if at is not None:
        variables["TILL_FAILPOINT"] = at
    with tempfile.NamedTemporaryFile(dir=folder) as said:
        asked = {
            "program": program,
            "arguments": arguments,
            "environment": variables,
            "said": said.name,
        }
        status = _forked(asked)
        assert status in (0, DIED), Path(said.name).read_text()
    return status


def dies(program: str, *arguments: str, url: str, folder: Path, at: str) -> None:
    """Run a program that dies at a fail point."""
    assert run(program, *arguments, url=url, folder=folder, at=at) == DIED, f"it never came to {at}"


def _forked(asked: dict[str, Any]) -> int:
    parent = _parent()
    assert parent.stdin is not None
    parent.stdin.write(json.dumps(asked).encode() + b"\n")
    parent.stdin.flush()
    child = int(_line(parent))
    try:
        return int(_line(parent))
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        _line(parent)
        raise


def _line(parent: subprocess.Popen[bytes]) -> bytes:
    assert parent.stdout is not None
    waiting = select.poll()
    waiting.register(parent.stdout, select.POLLIN | select.POLLHUP)
    if not waiting.poll(SECONDS * 1000):
        raise TimeoutError("the program did not end")
    return parent.stdout.readline()


@cache
def _parent() -> subprocess.Popen[bytes]:
    """The process that the others are forked from; it ends when its input does, with this one."""
    return subprocess.Popen(
        [sys.executable, "-c", _FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
