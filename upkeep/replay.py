"""Sends given-up messages back to their queues, each once, when what made them fail is mended.

A message is deleted from the dead letters only after its queue has taken it, so none is lost. When this stops
between the two, the message is sent a second time by the next replay: the intake and the dispatcher take
anything twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from training.ledger import records
from training.ledger.records import ObjectRecord
from upkeep import dead_letters
from upkeep.dead_letters import DeadLetter, Subject
from upkeep.render import iso
from upkeep.runs import Clients

SENT, REMOVED, LEFT, DROPPED = "sent back", "removed", "left", "dropped"
WOULD_SEND, WOULD_REMOVE, WOULD_DROP = "would send back", "would remove", "would drop"
_SETTLED = (records.ACCEPTED, records.DUPLICATE, records.QUARANTINED, records.IGNORED, records.GONE)


class Objects(Protocol):
    """What is asked of the ledger."""

    def at(self, key: str, version_id: str) -> ObjectRecord | None:
        """What became of one version of an object."""


@dataclass(frozen=True, kw_only=True)
class Handled:
    """One dead letter, and what was done with it.

    Attributes:
        queue: `intake` or `dispatch`.
        message_id: Its id in the dead-letter queue.
        subject: What it is about.
        error: What the ledger says made it fail.
        action: `sent back`, `removed` (of no use any more), `left` or `dropped`; or what would be done.
        why: Why that.
        given_up: When its first try was sent.
    """

    queue: str
    message_id: str
    subject: Subject
    action: str
    error: str = ""
    why: str = ""
    given_up: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """The letter as `--json` prints it."""
        about = self.subject
        return {
            "queue": self.queue,
            "message_id": self.message_id,
            "kind": about.kind,
            "about": about.text,
            "model": about.model or None,
            "key": about.key or None,
            "version_id": about.version_id or None,
            "error": self.error,
            "action": self.action,
            "why": self.why,
            "sent": iso(self.given_up),
        }


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to replay.

    Attributes:
        dry_run: Only look; every message is put back.
        drop: Delete what no part of this stack can have sent.
        limit: Handle so many at most; None for all.
        wait_seconds: How long a queue is waited for before it counts as empty.
    """

    dry_run: bool = False
    drop: bool = False
    limit: int | None = None
    wait_seconds: int = dead_letters.WAIT_SECONDS


def replay(context: Clients, ledger: Objects, options: Options) -> Iterator[Handled]:
    """Handle the dead letters of both queues, one after the other; each is told once it is done."""
    for queue in dead_letters.queues(context.outputs):
        kept: list[DeadLetter] = []
        done: set[tuple[str, ...]] = set()
        count = 0
        try:
            for letter in dead_letters.receive(context, queue, options.wait_seconds):
                if options.limit is not None and count >= options.limit:
                    kept.append(letter)
                    break
                count += 1
                handled = _decide(context, ledger, letter, done, options)
                if handled.action not in (SENT, REMOVED, DROPPED):
                    kept.append(letter)
                yield _carried_out(context, letter, handled)
        finally:
            for letter in kept:
                dead_letters.put_back(context, letter)


def _decide(
    context: Clients, ledger: Objects, letter: DeadLetter, done: set[tuple[str, ...]], options: Options
) -> Handled:
    """What is to be done with a letter, without doing it."""
    about = dead_letters.subject(letter, context.outputs)
    known = ledger.at(about.key, about.version_id) if about.version_id else None
    error = known.reason if known is not None and known.state == records.DEAD else ""
    repeated = about.identity in done
    done.add(about.identity)
    if about.kind == dead_letters.UNREADABLE:
        action, why = (WOULD_DROP if options.dry_run else DROPPED) if options.drop else LEFT, about.text
    elif known is not None and known.state in _SETTLED:
        action, why = WOULD_REMOVE if options.dry_run else REMOVED, f"it was {known.state} meanwhile"
    elif repeated:
        action, why = WOULD_REMOVE if options.dry_run else REMOVED, "the same as one sent back before"
    else:
        action, why = WOULD_SEND if options.dry_run else SENT, ""
    return Handled(
        queue=letter.queue.name,
        message_id=letter.message_id,
        subject=about,
        action=action,
        error=error,
        why=why,
        given_up=letter.sent_at,
    )


def _carried_out(context: Clients, letter: DeadLetter, handled: Handled) -> Handled:
    """Send first, delete then.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    sqs = context.client("sqs")
    if handled.action == SENT:
        sent: dict[str, Any] = {"QueueUrl": letter.queue.url, "MessageBody": letter.body, "DelaySeconds": 0}
        if letter.attributes:
            sent["MessageAttributes"] = dict(letter.attributes)
        sqs.send_message(**sent)
    if handled.action in (SENT, REMOVED, DROPPED):
        sqs.delete_message(QueueUrl=letter.queue.dead_url, ReceiptHandle=letter.receipt)
    return handled
