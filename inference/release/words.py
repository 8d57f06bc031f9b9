"""What people are told at the end of an operation: one message, with what changed or why nothing did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference.release.actions import End
from inference.release.world import LIVE, Operation, Recover, Release, Rollback
from training.ledger.rollouts import RolloutRecord

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: ASCII, one line, fewer than 100 characters
MAX_SUBJECT = 99
_NOTHING = ("", "none")
_HOW = {
    "failed": "failed",
    "rolled_back": "was taken back",
    "refused": "was refused",
    "nothing": "had nothing to do",
    "withdrawn": "was not approved any more",
}


def message(
    base: str, operation: Operation, end: End, record: RolloutRecord, facts: Mapping[str, str], execution: str
) -> tuple[str, str]:
    """Subject and text.

    Args:
        base: Name of the endpoint.
        operation: What was wanted.
        end: What it came to.
        record: The record of the rollout.
        facts: Metadata of the version it was about; empty for none.
        execution: Where to look further.
    """
    about = _about(operation, facts)
    serves = f"{_name(record.serving_version)} serves"
    if end.outcome == LIVE:
        # Of a rollback, what the version was once promoted for is no news.
        news = facts if isinstance(operation, Release) else {}
        return _subject(f"{base}: {serves}"), _live(record, end, news, execution)
    how = _HOW.get(end.outcome, end.outcome)
    lines = [_sentence(f"{about} {how}."), "", end.reason, "", _sentence(f"{serves} ({record.config}).")]
    if isinstance(operation, Release) and not end.ok:
        lines.append(
            "The version is not released again by itself; upkeep models approve VERSION --again does."
        )
    return _subject(f"{base}: {about} {how}"), _text(lines, execution)


def _live(record: RolloutRecord, end: End, facts: Mapping[str, str], execution: str) -> str:
    before = record.history[0] if record.history else None
    lines = [_sentence(f"{_name(record.serving_version)} serves ({record.config}).")]
    if before is not None:
        lines.append(f"Before it, {_name(before.version)} did ({before.config}): {before.why}.")
    if not end.reason.startswith("version "):
        lines.append(end.reason)
    metric = facts.get("metric", "")
    if metric not in _NOTHING and facts.get("challenger", "") not in _NOTHING:
        lines.append(
            f"{metric}: {facts['challenger']}, that of what it was compared with {facts.get('champion')}"
        )
    lines += [f"{name}: {facts[key]}" for name, key in _SHOWN if facts.get(key, "") not in _NOTHING]
    lines.append("Back: upkeep rollback")
    return _text(lines, execution)


_SHOWN = (("Why", "reason"), ("Report", "report_uri"), ("Run", "run_id"))


def _about(operation: Operation, facts: Mapping[str, str]) -> str:
    if isinstance(operation, Rollback):
        return "the rollback"
    version = facts.get("version", "")
    return (
        "the recovery of a release" if isinstance(operation, Recover) else f"the release of version {version}"
    )


def _name(version: str) -> str:
    return "the seed" if version in ("", "seed") else f"version {version}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _subject(text: str) -> str:
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    return plain[:MAX_SUBJECT]


def _text(lines: Sequence[str], execution: str) -> str:
    return "\n".join([*lines, "", f"Execution: {execution}"])


def facts_of(package: Mapping[str, Any] | None) -> dict[str, str]:
    """A package's metadata, with its number where it has no version."""
    if package is None:
        return {}
    found = dict(package.get("CustomerMetadataProperties") or {})
    if found.get("version", "") in _NOTHING:
        found["version"] = str(package.get("ModelPackageVersion", ""))
    return found
