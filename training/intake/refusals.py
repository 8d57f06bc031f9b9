"""Quarantine entries: why a file was refused, for people and for programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from models.spec import ModelSpec
from training import clock
from training.contract.findings import Finding, Report
from training.intake.arrivals import Arrival
from training.intake.objects import Opened
from training.ledger.records import NO_MODEL, OPEN, RELEASING, QuarantineRecord
from training.words import cut

SCHEMA = 2
_ID_DIGITS = 16
_MAX_REASON = 2000
_MAX_VALUE = 200
# An item holds 400 KB; the whole list is in the reason file beside the object.
_MAX_LEDGER_BYTES = 60_000


def quarantine_id(sha256: str | None, opened: Opened) -> str:
    """The name of a content's entry; a file too big to read is told by what S3 says of it."""
    digest = sha256 or hashlib.sha256(f"{opened.etag}-{opened.size}".encode()).hexdigest()
    return digest[:_ID_DIGITS]


def refusal(rule: str, text: str) -> Report:
    """The report on a file that is refused as a whole without a look at its rows."""
    return Report(findings=(Finding(None, rule, 1, text),))


def entry_of(
    arrival: Arrival,
    opened: Opened,
    sha256: str | None,
    report: Report,
    spec: ModelSpec | None,
    found: QuarantineRecord | None,
) -> QuarantineRecord:
    """The entry as it is to be written.

    Args:
        arrival: The file.
        opened: Its version.
        sha256: Of its bytes; None when they were not read.
        report: Why it is refused.
        spec: Of its model, None without.
        found: The entry that is there already: it counts up, and opens again when it had ended.
    """
    now = clock.now()
    name = quarantine_id(sha256, opened)
    new = QuarantineRecord(
        model=spec.name if spec else NO_MODEL,
        id=name,
        key=arrival.quarantine_key(name, has_model=spec is not None),
        reason=cut(report.reason, _MAX_REASON),
        findings=_bounded(findings(report)),
        sample=_bounded(_shortened(report.sample)),
        contract=spec.contract_version if spec else "",
        source=arrival.key,
        name=arrival.name,
        size=opened.size,
        sha256=sha256,
        delivery=arrival.delivery,
        at=now,
        last_at=now,
    )
    if found is None:
        return new
    new = replace(new, key=found.key, seen=found.seen + 1)
    if found.state not in (OPEN, RELEASING):
        return new
    return replace(
        found,
        seen=new.seen,
        last_at=now,
        reason=new.reason,
        findings=new.findings,
        sample=new.sample,
        contract=new.contract,
    )


def reason_text(
    arrival: Arrival, opened: Opened, report: Report, spec: ModelSpec | None, entry: QuarantineRecord
) -> str:
    """The document beside the quarantined object."""
    document = {
        "schema": SCHEMA,
        "id": entry.id,
        "object": arrival.key,
        "version_id": opened.version_id,
        "sha256": entry.sha256,
        "size": opened.size,
        "model": arrival.folder,
        "delivery": arrival.delivery,
        "reason": report.reason,
        "findings": findings(report),
        "sample": list(report.sample),
        "diff": dict(report.diff),
        "format": dict(report.format),
        "rows": report.rows,
        "dropped": report.dropped,
        "contract_version": spec.contract_version if spec else None,
        "spec_digest": spec.digest() if spec else None,
        "at": datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(document, indent=1, default=str)


def findings(report: Report) -> list[dict[str, Any]]:
    """The findings as plain data."""
    return [asdict(finding) for finding in report.findings]


def _shortened(sample: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bad rows with values of bounded length."""
    return [json.loads(json.dumps(row, default=str), object_hook=_cut_values) for row in sample]


def _cut_values(found: dict[str, Any]) -> dict[str, Any]:
    return {key: cut(value, _MAX_VALUE) if isinstance(value, str) else value for key, value in found.items()}


def _bounded(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first items that fit into the ledger."""
    kept, size = [], 0
    for item in items:
        text = json.dumps(item, default=str)
        size += len(text.encode())
        if size > _MAX_LEDGER_BYTES:
            break
        kept.append(json.loads(text))
    return kept
