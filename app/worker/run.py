"""The worker process: a poller that finds what is due, a thread for each row of the periodic table, and
Huey's threads that do the work.

It stops on TERM or INT after what is running, and when its parent is gone (`flask serve`).
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
from huey.consumer import Consumer

from app import db, settings
from app.services.events import deliveries
from app.services.operations import health, jobs
from app.services.payments import connector_logs
from app.worker import queue
from app.worker.schedule import TABLE, Periodic

log = structlog.get_logger("till.worker")

POLL_SECONDS = 0.25
#: The least pause between two rounds; what ends or comes up meanwhile starts the next one.
BREATH_SECONDS = 0.02
#: A row that was handed to the queue is not handed over again for this long.
AGAIN_SECONDS = 1.0
#: Tasks that wait in the queue for each thread; more would only grow old there.
QUEUED_PER_THREAD = 4
BEAT_SECONDS = 5.0
#: What is running has so long to end; leases bring back what does not.
STOP_SECONDS = 20
LONGEST_PAUSE_SECONDS = 30.0


class Poller:
    """Finds due rows and hands their ids to the queue."""

    def __init__(
        self,
        deliver: Callable[[str], object],
        run_job: Callable[[str], object],
        free: Callable[[], int],
    ) -> None:
        self._deliver, self._run_job, self._free = deliver, run_job, free
        self._handed: OrderedDict[str, float] = OrderedDict()

    def tick(self) -> int:
        """One round. Returns how many rows were handed over."""
        while queue.refused:
            self._handed.pop(queue.refused.popleft(), None)
        free = self._free()
        if free <= 0:
            return 0
        waiting = [(row_id, self._run_job) for row_id in jobs.due(limit=free)]
        waiting += [(row_id, self._deliver) for row_id in deliveries.due(limit=free)]
        return sum(self._hand_over(row_id, task) for row_id, task in waiting)

    def _hand_over(self, row_id: str, task: Callable[[str], object]) -> int:
        now = time.monotonic()
        while self._handed and next(iter(self._handed.values())) < now - AGAIN_SECONDS:
            self._handed.popitem(last=False)
        if row_id in self._handed:
            return 0
        self._handed[row_id] = now
        task(row_id)
        return 1


class Ticker(threading.Thread):
    """Runs one row of the periodic table until told to stop; a slow or broken row delays no other."""

    def __init__(self, item: Periodic, stop: threading.Event, found: threading.Event) -> None:
        super().__init__(name=item.name, daemon=True)
        self._item, self._told, self._found = item, stop, found

    def run(self) -> None:
        """Run, wait, run again; wait longer after failures."""
        failures = 0
        while not self._told.is_set():
            try:
                if self._item.run():
                    self._found.set()
                failures = 0
            except Exception:  # the next round tries again
                failures += 1
                log.exception("periodic_failed", name=self._item.name)
            pause = self._item.every_seconds * random.uniform(0.9, 1.1)
            self._told.wait(min(pause * 2**failures, max(pause, LONGEST_PAUSE_SECONDS)))


class Orders:
    """Whether to go on: until a signal comes, or the parent is gone.

    The handler only sets an attribute: a lock taken there could be held by the very code it interrupts.
    """

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._signalled = False

    def listen(self) -> None:
        """Take TERM and INT for the order to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self._signalled = True

    @property
    def stand(self) -> bool:
        """Whether to go on."""
        return not self._signalled and (self._parent is None or os.getppid() == self._parent)


def main(*, parent: int | None = None) -> None:
    """Work until told to stop. With `parent`, stop also when that process is gone."""
    orders, current = Orders(parent), settings.current()
    orders.listen()
    db.configure(
        current.database,
        ephemeral=current.ephemeral,
        pool_size=current.worker_threads + len(TABLE) + 2,
    )
    huey = queue.build()
    deliver, run_job = queue.register(huey)
    consumer = huey.create_consumer(
        workers=current.worker_threads,
        periodic=False,
        initial_delay=0.02,
        backoff=1.2,
        max_delay=0.25,
        scheduler_interval=60,
        shutdown_timeout=STOP_SECONDS,
    )
    consumer.start()
    orders.listen()  # again: Huey has set handlers of its own, for a loop that does not run here
    stop = threading.Event()
    tickers = [Ticker(item, stop, queue.ended) for item in TABLE]
    for ticker in tickers:
        ticker.start()
    name = f"{socket.gethostname()}:{os.getpid()}"
    log.info("worker_started", worker=name, threads=current.worker_threads)
    most = current.worker_threads * QUEUED_PER_THREAD
    poller = Poller(deliver, run_job, lambda: most - huey.pending_count())
    _poll(poller, consumer, orders, name)
    stop.set()
    _wind_up(consumer, tickers, name)


def _poll(poller: Poller, consumer: Consumer, orders: Orders, name: str) -> None:
    beat_at = 0.0
    while orders.stand:
        try:
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + BEAT_SECONDS
                consumer.check_worker_health()
                health.beat(name)
            queue.ended.clear()
            poller.tick()
        except Exception:  # the database may be away for a moment
            log.exception("poll_failed")
            time.sleep(1)
        time.sleep(BREATH_SECONDS)
        queue.ended.wait(POLL_SECONDS * random.uniform(0.8, 1.2))


def _wind_up(consumer: Any, tickers: list[Ticker], name: str) -> None:
    consumer.stop(graceful=True)
    for ticker in tickers:
        ticker.join(timeout=1)
    try:
        connector_logs.flush()
        health.gone(name)
    except Exception:  # it is noticed by its silence instead
        log.exception("heartbeat_not_withdrawn")
    db.dispose()
    log.info("worker_stopped", worker=name)
