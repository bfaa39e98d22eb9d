"""The poller hands what is due to the queue: each row once, and again when it could not be claimed."""

from __future__ import annotations

from app.domain.actor import Actor
from app.services.events import audit, deliveries, webhooks
from app.worker import queue
from app.worker.run import Poller
from tests.events import tell

EVENT = "payment.succeeded"


def test_a_delivery_for_which_there_was_no_room_is_handed_over_again_when_there_is(actor: Actor) -> None:
    webhooks.create(actor, "http://127.0.0.1:9/hook", [EVENT])
    tell(actor.tenant_id, EVENT, count=3)
    audit.seal()
    handed: list[str] = []
    poller = Poller(handed.append, handed.append, lambda: 8)
    assert (poller.tick(), poller.tick()) == (2, 0)
    first, second = handed
    third = next(row.id for row in deliveries.list_page(actor).data if row.id not in handed)
    taken = deliveries.claim(first)
    assert taken is not None
    assert deliveries.claim(third) is not None  # another worker was quicker: there is no room for the second
    queue.deliver(second)
    assert queue.ended.is_set() and list(queue.refused) == [second]
    assert (poller.tick(), handed) == (0, [first, second])  # as long as there is none, it is left alone
    deliveries.deliver(taken, queue.client(), last=True)
    assert (poller.tick(), handed) == (1, [first, second, second])
    assert poller.tick() == 0
