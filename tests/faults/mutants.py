"""Bugs put into the functions on purpose: the checker is worth something only if it finds each of them.

Each mutant is a mistake that somebody could make, or has made elsewhere. What finds it are the same made-up
stories that everything is tested with, not a story of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from tests.faults.dynamodb import PAGE_ITEMS

Patches = Callable[[], list[Any]]


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        name: What is wrong.
        patches: Put it there.
        finds: Beginning of the broken promises that may tell of it.
        first: The made-up story to begin with.
    """

    name: str
    patches: Patches
    finds: tuple[str, ...]
    first: int = 0

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The functions with the mistake in them."""
        with ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


def _content_is_not_the_identity() -> list[Any]:
    """Each upload becomes an accepted object of its own, and its record replaces the one before."""
    from training.intake import endings
    from training.ledger import objects

    numbers = itertools.count()
    known = objects.Objects.known

    def nothing(self: Any, *args: Any) -> Any:
        return replace(known(self, *args), data=None)

    return [
        mock.patch.object(
            endings, "accepted_key", lambda model, _: f"accepted/{model}/{next(numbers):020}.parquet"
        ),
        mock.patch.object(objects.Objects, "known", nothing),
        mock.patch.object(objects, "ABSENT", "attribute_not_exists(#pk) OR attribute_exists(#pk)"),
    ]


def _no_lease() -> list[Any]:
    """Everybody who wants the lease gets it."""
    from training.ledger.plans import Plans

    def take(self: Any, model: str, owner: str, seconds: float) -> Any:
        self._update(
            model, "plan", {"lease_owner": owner, "again": False}, "attribute_not_exists(#x) OR #x = #x"
        )
        return self.plan(model)

    def begin(self: Any, owner: str, record: Any) -> bool:
        return bool(self.record_run(record))

    def update(self: Any, model: str, owner: str, **changes: Any) -> Any:
        self._update(model, "plan", changes, "attribute_exists(#pk)")
        return self.plan(model)

    return [
        mock.patch.object(Plans, "take_lease", take),
        mock.patch.object(Plans, "begin_run", begin),
        mock.patch.object(Plans, "update_plan", update),
        mock.patch.object(Plans, "release_lease", return_value=True),
    ]


def _claims_never_expire() -> list[Any]:
    from training.ledger.objects import Objects
    from training.ledger.records import CLAIMED, DEAD, GONE

    def is_free(self: Any, found: Any, owner: str) -> bool:
        return found.state in (DEAD, GONE) if found.state != CLAIMED else not found.claimed_until

    return [mock.patch.object(Objects, "_is_free", is_free)]


def _dead_for_ever() -> list[Any]:
    from training.ledger.objects import Objects
    from training.ledger.records import CLAIMED

    def is_free(self: Any, found: Any, owner: str) -> bool:
        return found.state == CLAIMED and (found.claimed_until <= self.now() or found.owner == owner)

    return [mock.patch.object(Objects, "_is_free", is_free)]


def _nobody_is_woken() -> list[Any]:
    from training.intake.wakes import Wakes

    return [mock.patch.object(Wakes, "send")]


def _taken_away_before_it_is_safe() -> list[Any]:
    from training.intake.endings import Endings

    accept = Endings.accept

    def first_remove(self: Any, checked: Any) -> None:
        self.objects.remove(checked.task.arrival.key, checked.task.record.version_id)
        accept(self, checked)

    return [mock.patch.object(Endings, "accept", first_remove)]


def _refused_and_thrown_away() -> list[Any]:
    from training.intake.objects import Objects

    return [mock.patch.object(Objects, "copy")]


def _removed_with_a_marker() -> list[Any]:
    from training.intake.objects import Objects

    def remove(self: Any, key: str, _: str) -> None:
        self._s3.delete_object(Key=key, **self._mine)

    return [mock.patch.object(Objects, "remove", remove)]


def _only_the_current_version_counts() -> list[Any]:
    from training.intake.objects import GoneError, Objects

    def current(self: Any, key: str, version_id: str) -> Any:
        found = self._get(key)
        if found is None or found.version_id != version_id:
            raise GoneError("not the current version")
        return found

    return [mock.patch.object(Objects, "open", current)]


def _whatever_is_current_is_read() -> list[Any]:
    from training.intake.objects import GoneError, Objects

    def current(self: Any, key: str, version_id: str) -> Any:
        found = self._get(key)
        if found is None:
            raise GoneError("nothing there")
        return found

    return [mock.patch.object(Objects, "open", current)]


def _policy_rule_off(name: str) -> Patches:
    def patches() -> list[Any]:
        from training.dispatch import policy

        return [mock.patch.object(policy, name, return_value=None)]

    return patches


def _runs_do_not_wait_for_each_other() -> list[Any]:
    from training.dispatch import model, policy

    return [mock.patch.object(place, "under_way", return_value=None) for place in (model, policy)]


def _the_bucket_is_listed() -> list[Any]:
    """What lies in accepted/ is trained on, whatever the ledger says."""
    from training.aws import client
    from training.dispatch.model import Model
    from training.ledger.records import DataRecord

    def counting(self: Any, *_: Any) -> list[Any]:
        name, bucket = self._spec.name, self._settings.data_bucket
        found = client("s3").list_objects_v2(Bucket=bucket, Prefix=f"accepted/{name}/")
        known = {record.key: record for record in self._ledger.data(name)}
        keys = [item["Key"] for item in found.get("Contents", [])]
        return [known.get(key) or DataRecord(model=name, raw_sha256="", key=key) for key in keys]

    return [mock.patch.object(Model, "_counting", counting)]


def _names_are_used_again() -> list[Any]:
    from training.manifest import Manifest

    return [mock.patch.object(Manifest, "attempt", lambda self, number: self.run_id)]


def _started_before_it_is_written_down() -> list[Any]:
    from training.dispatch.starts import Starter
    from training.ledger.plans import Plans

    launch = Starter._launch
    begin = Plans.begin_run
    waiting: list[Any] = []

    def late(self: Any, owner: str, record: Any) -> bool:
        waiting.append((self, owner, record))
        return True

    def first(self: Any, run: Any, document: Any) -> None:
        launch(self, run, document)
        while waiting:
            begin(*waiting.pop())

    return [mock.patch.object(Plans, "begin_run", late), mock.patch.object(Starter, "_launch", first)]


def _no_sweep() -> list[Any]:
    from training.dispatch import handler

    return [mock.patch.object(handler, "sweep", return_value=0)]


def _events_are_believed() -> list[Any]:
    """Whose event it is and of which bucket is not looked at."""
    import json

    from training.intake import arrivals, handler

    def believe(record: Any, **_: Any) -> Any:
        try:
            found = json.loads(record["body"])["detail"]["object"]
            return arrivals.arrival(found["key"], found.get("version-id", ""))
        except (ValueError, TypeError, KeyError) as error:
            raise arrivals.RefusedEventError("unreadable") from error

    return [mock.patch.object(handler, "read_message", believe)]


def _one_page_is_read() -> list[Any]:
    from training.ledger.core import Core

    query = Core._query

    def short(self: Any, model: str, prefix: str, limit: Any = None) -> Any:
        return itertools.islice(query(self, model, prefix, limit), PAGE_ITEMS)

    return [mock.patch.object(Core, "_query", short)]


def _told_again_and_again() -> list[Any]:
    from training.ledger.people import Quarantine

    return [mock.patch.object(Quarantine, "announce_entry", return_value=True)]


def _told_before_it_is_sure() -> list[Any]:
    """It is noted that people were told, and then they are told: a crash in between is silence."""
    from training.dispatch import handler, model

    tell = model.announce_refused

    def noted_first(settings: Any, ledger: Any, name: str, folder: str, entries: Any) -> None:
        for entry in entries:
            ledger.announce_entry(name, entry.id)
        tell(settings, ledger, name, folder, entries)

    return [mock.patch.object(place, "announce_refused", noted_first) for place in (handler, model)]


def _nobody_is_told() -> list[Any]:
    from training.dispatch import model

    return [mock.patch.object(model, "publish")]


def _a_failed_message_is_done() -> list[Any]:
    """An error is logged, and the message is gone."""
    from training.intake.handler import Batch

    handle = Batch.handle

    def done(self: Any, records: Any) -> list[str]:
        handle(self, records)
        return []

    return [mock.patch.object(Batch, "handle", done), *_no_sweep()]


def _bad_rows_are_kept() -> list[Any]:
    """A file with too many bad rows is accepted for its good ones."""
    from training.contract import check

    original = check.check_file

    def tolerant(path: Any, spec: Any, **options: Any) -> Any:
        loose = replace(spec, contract=replace(spec.contract, max_bad_share=1.0))
        return original(path, loose, **options)

    return [mock.patch.object(check, "check_file", tolerant)]


def _good_rows_are_dropped() -> list[Any]:
    """Nothing may be bad in a file."""
    from training.contract import check

    original = check.check_file

    def strict(path: Any, spec: Any, **options: Any) -> Any:
        tight = replace(spec, contract=replace(spec.contract, max_bad_share=0.0))
        return original(path, tight, **options)

    return [mock.patch.object(check, "check_file", strict)]


def _an_ended_run_is_never_looked_at() -> list[Any]:
    from training.dispatch.endings import Endings

    return [mock.patch.object(Endings, "_look")]


def _a_failure_is_a_success() -> list[Any]:
    from training.dispatch import endings

    return [mock.patch.object(endings, "FAILED", endings.SUCCEEDED)]


def _the_oldest_wins() -> list[Any]:
    """A data set is what was accepted until the model was last trained."""
    from training.dispatch.model import Model

    counting = Model._counting

    def stale(self: Any, *args: Any) -> list[Any]:
        found = sorted(counting(self, *args), key=lambda record: record.accepted_at)
        return found[:3]

    return [mock.patch.object(Model, "_counting", stale)]


MUTANTS = (
    Mutant("each upload is another content", _content_is_not_the_identity, ("I1", "I4", "I5"), 3),
    Mutant("everybody has the lease", _no_lease, ("I7", "I1", "I4", "Told"), 107),
    Mutant("claims never expire", _claims_never_expire, ("I4",), 9),
    Mutant("a dead file stays dead when it is replayed", _dead_for_ever, ("I4",), 110),
    Mutant("nobody is woken", _nobody_is_woken, ("I5",), 32),
    Mutant("a file is taken away before its copy is safe", _taken_away_before_it_is_safe, ("I4",), 3),
    Mutant("a refused file is thrown away", _refused_and_thrown_away, ("I4",), 3),
    Mutant("files are taken away with delete markers", _removed_with_a_marker, ("I4",), 3),
    Mutant("an overwritten version is lost", _only_the_current_version_counts, ("I4",), 26),
    Mutant("an event stands for whatever is current", _whatever_is_current_is_read, ("I4",), 9),
    Mutant("the cool-down is ignored", _policy_rule_off("_too_soon"), ("I7",), 15),
    Mutant("the most trainings a day are ignored", _policy_rule_off("_too_many"), ("I7",), 4),
    Mutant("the month's money is ignored", _policy_rule_off("_too_expensive"), ("I7",), 27),
    Mutant("a failing data set is tried for ever", _policy_rule_off("_given_up"), ("I7", "I5"), 47),
    Mutant("what was trained on is trained on again", _policy_rule_off("_trained"), ("I1", "I5", "I7"), 4),
    Mutant("a run begins while another goes on", _runs_do_not_wait_for_each_other, ("I7",), 6),
    Mutant("the bucket is listed instead of the ledger", _the_bucket_is_listed, ("I4", "I5"), 36),
    Mutant("names of attempts are used again", _names_are_used_again, ("I4", "I5", "I7"), 4),
    Mutant(
        "a run is started before it is written down",
        _started_before_it_is_written_down,
        ("I1", "I4", "I7"),
        6,
    ),
    Mutant("nobody looks for lost events", _no_sweep, ("I4",), 13),
    Mutant("events of others are believed", _events_are_believed, ("I4",), 16),
    Mutant("only the first page is read", _one_page_is_read, ("I4", "I5"), 37),
    Mutant("people are told again and again", _told_again_and_again, ("Told", "I5"), 3),
    Mutant("a crash before the notice is silence", _told_before_it_is_sure, ("Told",), 9),
    Mutant("nobody is told of refused files", _nobody_is_told, ("Told",), 4),
    Mutant("a message that failed is done", _a_failed_message_is_done, ("I4",), 7),
    Mutant("a file full of bad rows is accepted", _bad_rows_are_kept, ("I4",), 4),
    Mutant("a file with one bad row is refused", _good_rows_are_dropped, ("I4",), 3),
    Mutant("nobody looks how runs end", _an_ended_run_is_never_looked_at, ("I4", "I5"), 4),
    Mutant("a failed run counts as trained", _a_failure_is_a_success, ("I5",)),
    Mutant("only the oldest data is trained on", _the_oldest_wins, ("I5",)),
)
