"""What people are told, in plain words: names, reasons, what to do; never the values of a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from training.dispatch.deliveries import Delivery
from training.dispatch.policy import ATTEMPTS, Hold
from training.ledger.records import NO_MODEL, QuarantineRecord, RunRecord

# "less than 100 characters", ASCII, no line breaks, beginning with a letter, number or punctuation mark:
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
MAX_SUBJECT = 99
MAX_FILES = 20
MAX_REASONS = 5
_MAX_TEXT = 200
# These findings are about the file and say nothing of what is in it.
_TELLING_RULES = ("model", "manifest", "file", "rows")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Notice:
    """One message to the topic."""

    subject: str
    text: str


def quarantined(base: str, folder: str, entries: Sequence[QuarantineRecord]) -> Notice:
    """Files of one delivery were refused.

    Args:
        base: Start of the subject, ``upkeep-<stack>-<model>``.
        folder: The delivery's folder; empty when it is none.
        entries: Of the files.
    """
    where = f" of delivery {_plain(folder)}" if folder else ""
    lines = [
        f"{_count(entries, 'file')}{where} did not keep the contract and will not be trained on.",
        "Files that came with them and did keep it are not affected.",
        "",
    ]
    for entry in entries[:MAX_FILES]:
        lines += [f"{_plain(entry.name or entry.source)} ({entry.size:,} bytes), id {entry.id}"]
        lines += [f"    {reason}" for reason in _reasons(entry)]
    lines += _more(entries, MAX_FILES, "file")
    lines += [
        "",
        "See one with its bad rows:        upkeep quarantine show <id>",
        "Check it again and let it in:     upkeep quarantine release <id>",
        "Put it away:                      upkeep quarantine discard <id>",
    ]
    if any(entry.model == NO_MODEL for entry in entries):
        lines += ["", "Files are for a model when they lie below incoming/<model>/."]
    return _notice(base, f"{_count(entries, 'file')} quarantined", lines)


def held(base: str, hold: Hold, failed: Sequence[RunRecord] = ()) -> Notice:
    """A limit holds back the next run, or a data set was given up.

    Args:
        base: Start of the subject.
        hold: The limit.
        failed: With ``attempts``, the runs that failed.
    """
    given_up = hold.rule == ATTEMPTS
    lines = [f"The next training is held back: {_plain(hold.reason)}."]
    lines += [f"    run {run.run_id}: {_plain(run.reason) or 'no reason is known'}" for run in failed]
    if hold.until is not None:
        lines += [f"It starts by itself after {_utc(hold.until)}, unless newer data makes it another one."]
    elif given_up:
        lines += ["It starts by itself as soon as there is other data."]
    lines += ["What serves goes on serving.", "", "Start it now all the same:    upkeep runs start --force"]
    if not given_up:
        lines += [f"Change the limit:             triggers.{hold.rule} in the model's spec, then upkeep up"]
    return _notice(base, "data set given up" if given_up else f"training held back by {hold.rule}", lines)


def overdue(base: str, delivery: Delivery, seconds: int) -> Notice:
    """A delivery did not become complete in time."""
    record, files = delivery.record, delivery.record.files
    name = _plain(record.folder) or "(no folder)"
    lines = [
        f"The first file of delivery {name} came at {_utc(record.first_at)}.",
        f"It is not complete after {seconds:,} seconds, so nothing of it is trained on.",
        "",
    ]
    if files is None:
        lines += ["There is no _MANIFEST.json in the folder that could be read."]
    else:
        lines += [
            f"Listed in its _MANIFEST.json, but not there with the content announced ({len(files)} listed):"
        ]
        lines += _names(delivery.missing)
    lines += _unlisted(delivery)
    lines += ["", "It becomes complete by itself when what is missing arrives."]
    return _notice(base, "delivery overdue", lines)


def with_unlisted(base: str, delivery: Delivery) -> Notice:
    """A delivery is complete, but its folder holds files that its manifest does not list."""
    lines = [f"Delivery {_plain(delivery.record.folder) or '(no folder)'} is complete."]
    lines += _unlisted(delivery)
    lines += ["", "They become data when a new _MANIFEST.json lists them."]
    return _notice(base, "files outside the manifest wait", lines)


def _unlisted(delivery: Delivery) -> list[str]:
    if not delivery.unlisted:
        return []
    return ["", "In the folder, but in no manifest; these files wait:", *_names(delivery.unlisted)]


def _names(names: Sequence[str]) -> list[str]:
    return [f"    {_plain(name)}" for name in names[:MAX_FILES]] + _more(names, MAX_FILES, "file")


def _more(items: Sequence[object], shown: int, noun: str) -> list[str]:
    return [f"    and {_count(items[shown:], f'more {noun}')}"] if len(items) > shown else []


def _reasons(entry: QuarantineRecord) -> list[str]:
    """What is wrong in names of columns and rules; a sentence may quote a value, and then is not shown."""
    reasons = [_reason(finding) for finding in entry.findings]
    return (reasons[:MAX_REASONS] + _more(reasons, MAX_REASONS, "reason")) or ["no details are known"]


def _reason(finding: Mapping[str, Any]) -> str:
    rule, column, count = str(finding.get("rule", "")), finding.get("column"), finding.get("count") or 0
    if column is None and rule in _TELLING_RULES:
        return _plain(str(finding.get("text", "")))
    rows = f", {count:,} row{'s' if count != 1 else ''}" if count else ""
    return _plain(f"{column or 'the file'}: {rule}{rows}")


def _notice(base: str, what: str, lines: Iterable[str]) -> Notice:
    subject = _NOT_ASCII.sub(" ", f"{base}: {what}")[:MAX_SUBJECT].strip()
    return Notice(subject, "\n".join(lines) + "\n")


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items):,} {noun}{'' if len(items) == 1 else 's'}"


def _plain(text: str) -> str:
    """One line without control characters, cut when it is long."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 3] + "..."


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
