"""What is written down when a claim is freed: what serves, what served before, and how it ended."""

from __future__ import annotations

from typing import Any

from inference.release.actions import Note, note
from inference.release.world import LIVE
from training.ledger.rollouts import MAX_HISTORY, RolloutRecord, Served

# Fields that belong to a rollout and not to what serves.
_OVER: dict[str, Any] = {
    "owner": "",
    "operation": "",
    "package_arn": "",
    "version": "",
    "from_config": "",
    "to_config": "",
    "phase": "",
    "passed": (),
    "token": "",
    "tries": 0,
    "checks": 0,
    "adopted": False,
    "outcome": "",
    "failure": "",
    "reason": "",
    "by": "",
    "stop": "",
}


def served(record: RolloutRecord, config: str) -> Served:
    """What is known of a configuration that serves or served."""
    if config == record.config:
        return Served(
            config=config,
            package_arn=record.serving_package,
            version=record.serving_version,
            since=record.serving_since,
        )
    known = (one for one in record.history if one.config == config)
    return next(known, Served(config=config))


def candidates(record: RolloutRecord, current: str, seed_config: str = "") -> tuple[Served, ...]:
    """What a rollback may go back to, newest first: what served well before, and at last the seed."""
    found = [one for one in record.history if one.sound and one.config != current]
    if seed_config and seed_config != current and seed_config not in [one.config for one in found]:
        found.append(Served(config=seed_config, version="seed"))
    return tuple(found)


def freed(record: RolloutRecord, found: str, outcome: str, reason: str, now: float) -> Note:
    """Free the claim; the record says what was found to serve, whatever was meant to.

    Args:
        record: The rollout that ends.
        found: The configuration that the endpoint says it serves.
        outcome: What it came to.
        reason: Why.
        now: Seconds since 1970.
    """
    is_new = found == record.to_config
    if is_new:
        serving = Served(
            config=found,
            package_arn=record.package_arn,
            version=record.version,
            since=record.serving_since if found == record.config else now,
        )
    else:
        serving = served(record, found)
    history = [one for one in record.history if one.config != found]
    if is_new and record.from_config != found:
        history = [one for one in history if one.config != record.from_config]
        history.insert(0, _left(record, reason, now))
    elif not is_new and record.token and record.operation == "release":
        # It was tried: for people, and so that nobody goes back to it.
        tried = Served(
            config=record.to_config,
            package_arn=record.package_arn,
            version=record.version,
            ended=now,
            why=reason,
            sound=False,
        )
        history = [tried, *(one for one in history if one.config != record.to_config)]
    kept = tuple(history[:MAX_HISTORY])
    # A rollback leaves the configuration with two variants, and with it the experiment.
    over = {"experiment": ""} if is_new and record.operation == "rollback" else {}
    previous = next((one for one in kept if one.sound), Served(config=""))
    return note(
        **_OVER,
        **over,
        config=serving.config,
        serving_package=serving.package_arn,
        serving_version=serving.version,
        serving_since=serving.since,
        previous_config=previous.config,
        previous_package=previous.package_arn,
        history=kept,
        last_owner=record.owner,
        last_operation=_key(record),
        last_outcome=outcome,
        last_reason=reason,
    )


def _left(record: RolloutRecord, reason: str, now: float) -> Served:
    """What went out of service; only what a release replaced may be gone back to."""
    old = served(record, record.from_config)
    replaced = record.operation == "release" and record.outcome in ("", LIVE)
    return Served(
        config=old.config,
        package_arn=old.package_arn,
        version=old.version,
        since=old.since,
        ended=now,
        why=f"replaced by version {record.version}" if replaced else reason,
        sound=record.operation == "release",
    )


def _key(record: RolloutRecord) -> str:
    """What ended, as an operation recognises it; what was taken over is nobody's own."""
    return "adopted" if record.adopted else f"{record.operation}:{record.package_arn}"
