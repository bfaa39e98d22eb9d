"""Worker processes for tests, which may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import environment


def start(url: str, folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    """A worker over that database; it ends with this process at the latest."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from app.worker import run; run.main(parent={os.getpid()})"],
        env={
            **environment(url, folder),
            "TILL_WORKER_LEASE_SECONDS": "2",
            "TILL_WORKER_THREADS": "4",
            **variables,
        },
    )


@contextmanager
def running(url: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is told to stop at the end."""
    child = start(url, folder, **variables)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            raise


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.03)
