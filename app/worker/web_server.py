"""The web server's process under `flask serve`: granian in front of `wsgi:app` (docs/adr/0005).

It ends when its parent is gone, so that a killed `flask serve` leaves nobody on the port.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app import settings

WATCH_SECONDS = 0.5


def main(parent: int) -> None:
    """Serve until told to stop, or until the process `parent` is gone."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    current = settings.current()
    Granian(
        "wsgi:app",
        address=current.host,
        port=current.port,
        interface=Interfaces.WSGI,
        workers=current.web_processes,
        # One blocking thread for each process is the fastest; a single process needs some for slow calls.
        blocking_threads=1 if current.web_processes > 1 else 4,
        websockets=False,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        workers_kill_timeout=10,
    ).serve()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]))
