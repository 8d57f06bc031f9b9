"""Whatever call fails, or is the last one before the function is killed: the next delivery ends the same.

Every call of every way an object can take is hit once in three manners: it is throttled, its answer is lost
after it was carried out, and the function is killed right before it.
"""

import gzip
import hashlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.training.examples import declare, lines, text
from tests.training.intake.messages import Wakes, deliver, message
from tests.training.lambdas import ARTIFACTS, DATA
from training.aws import client
from training.contract import check
from training.contract.findings import Finding, Report
from training.ledger.table import Ledger

SERVICES = ("s3", "dynamodb", "sqs")
NUMBERS = itertools.count()


class Killed(BaseException):
    """The end of the process."""


class Faults:
    """Lets one call fail: the ``at``-th from now on, counted from 1."""

    def __init__(self, manner, at):
        self.manner, self.at = manner, at
        self.count = 0
        self.calls = []

    def __enter__(self):
        for name in SERVICES:
            client(name).meta.events.register_first("before-call", self._before)
            client(name).meta.events.register_last("after-call", self._after)
        return self

    def __exit__(self, *_):
        for name in SERVICES:
            client(name).meta.events.unregister("before-call", self._before)
            client(name).meta.events.unregister("after-call", self._after)

    def _before(self, model, **_):
        self.count += 1
        self.calls.append(model.name)
        if self.count == self.at and self.manner == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, model.name)
        if self.count == self.at and self.manner == "killed":
            raise Killed

    def _after(self, **_):
        if self.count == self.at and self.manner == "answer lost":
            raise ConnectionClosedError(endpoint_url="https://aws")


class Way:
    """One way an object can take, and how it must end; every journey has a content of its own."""

    def __init__(self, store, ledger):
        self.store, self.ledger = store, ledger
        number = next(NUMBERS)
        self.rows = lines(40, seed=number)
        self.key = f"incoming/toy/{number}.csv"
        self.prepare()
        self.raw = hashlib.sha256(self.body).hexdigest()
        self.version = store.put(self.key, self.body)

    def prepare(self):
        self.body = text(self.rows).encode()

    @property
    def state(self):
        return self.ledger.version(self.key, self.version).state

    @property
    def is_there(self):
        found = client("s3").list_object_versions(Bucket=DATA, Prefix=self.key)
        return self.version in [one["VersionId"] for one in found.get("Versions", [])]

    def is_safe(self):
        """Nothing is lost: the version is there, or what it became is."""
        return self.is_there or self.has_ended()


class Accepted(Way):
    def has_ended(self):
        found = [r for r in self.ledger.data("toy") if r.raw_sha256 == self.raw]
        if len(found) != 1:
            return False
        stored = client("s3").get_object(Bucket=DATA, Key=found[0].key, VersionId=found[0].version_id)
        versions = client("s3").list_object_versions(Bucket=DATA, Prefix=found[0].key)["Versions"]
        return (
            self.state == "accepted"
            and hashlib.sha256(stored["Body"].read()).hexdigest() == found[0].sha256
            and len(versions) == 1
        )


class PartlyAccepted(Accepted):
    def prepare(self):
        self.body = text([*self.rows, self.rows[0].replace("2024", "never")]).encode()

    def has_ended(self):
        found = self.ledger.data_record("toy", self.raw)
        return super().has_ended() and self.store.get(found.rejected_key) != b""


class Quarantined(Way):
    def prepare(self):
        self.body = f"nothing {self.key}".encode()

    def has_ended(self):
        entry = self.ledger.quarantine_entry("toy", self.raw[:16])
        return (
            self.state == "quarantined"
            and entry.state == "open"
            and entry.seen == 1
            and self.store.get(entry.key) == self.body
            and self.store.json(entry.key + ".reason.json")["id"] == entry.id
        )


class AgainQuarantined(Quarantined):
    def prepare(self):
        super().prepare()
        key = self.key.replace(".csv", "-first.csv")
        deliver(message(key, self.store.put(key, self.body), key))

    def has_ended(self):
        entry = self.ledger.quarantine_entry("toy", self.raw[:16])
        return self.state == "quarantined" and entry.seen == 2 and self.store.get(entry.key) == self.body


class Duplicate(Way):
    def prepare(self):
        super().prepare()
        key = self.key.replace(".csv", "-first.csv")
        deliver(message(key, self.store.put(key, self.body), key))

    def has_ended(self):
        found = [r for r in self.ledger.data("toy") if r.raw_sha256 == self.raw]
        return self.state == "duplicate" and len(found) == 1


class SameRows(Accepted):
    """Other bytes that hold the rows of a content that is there: the object is there already."""

    def prepare(self):
        plain = text(self.rows).encode()
        key = self.key.replace(".csv", "-first.csv")
        deliver(message(key, self.store.put(key, plain), key))
        self.body = gzip.compress(plain, mtime=0)


class Released(Accepted):
    """Bytes with an open entry that are good now."""

    def prepare(self):
        super().prepare()
        _declare(self.store, contract={"min_rows": 1000})
        key = self.key.replace(".csv", "-first.csv")
        deliver(message(key, self.store.put(key, self.body), key))
        _declare(self.store)

    def has_ended(self):
        entry = self.ledger.quarantine_entry("toy", self.raw[:16])
        return super().has_ended() and entry.state == "accepted"


class Listed(Way):
    def prepare(self):
        self.key = self.key.replace("toy", "folders").replace(".csv", "/_MANIFEST.json")
        self.body = json.dumps([self.key]).encode()

    def has_ended(self):
        record = self.ledger.delivery("folders", self.key.split("/")[2])
        return self.state == "accepted" and record.files == [{"name": self.key}]


class Ignored(Way):
    def prepare(self):
        self.key = self.key.replace(".csv", "/_SUCCESS")
        self.body = b""

    def has_ended(self):
        return self.state == "ignored"


def _declare(store, **changes):
    contract = {"contract": {"max_bad_share": 0.2, **changes.pop("contract", {})}}
    store.put("specs/toy.json", declare(**contract, **changes).to_json(), ARTIFACTS)


def quick_check(path, spec, *, accept_to, reject_to, **_):
    """A check as far as these tests need one: it tells good rows from bad ones, and writes both."""
    raw = path.read_bytes()
    rows = (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).splitlines()[1:]
    good = [row for row in rows if b"never" not in row]
    if len(good) < spec.contract.min_rows:
        return Report(findings=(Finding(None, "rows", 1, "too few rows"),))
    accept_to.write_bytes(b"PAR1" + b"\n".join(good))
    if len(good) < len(rows):
        reject_to.write_bytes(b"bad")
    return Report(rows=len(good), dropped=len(rows) - len(good))


@pytest.fixture
def world(store, ledger, monkeypatch):
    monkeypatch.setattr(check, "check_file", quick_check)
    _declare(store)
    spec = declare(name="folders", triggers={"delivery": "manifest"})
    store.put("specs/folders.json", spec.to_json(), ARTIFACTS)
    return store, ledger


WAYS = [
    Accepted, PartlyAccepted, Quarantined, AgainQuarantined, Duplicate, SameRows, Released, Listed, Ignored,
]  # fmt: skip


@pytest.mark.parametrize("manner", ["throttled", "answer lost", "killed"])
@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_fails_the_next_delivery_ends_the_same(world, clock, way, manner):
    wakes = Wakes()
    at, hit = 0, True
    while hit:
        at += 1
        journey = way(*world)
        one = message(journey.key, journey.version, journey.key)
        sent = len(wakes())
        with Faults(manner, at) as faults:
            try:
                failed = deliver(one) != []
            except Killed:
                failed = True
                clock.at += 901
        hit = faults.count >= at
        assert journey.is_safe(), f"call {at}, {faults.calls[-1]}"
        # What is not wanted again is done; what is, comes again.
        if failed:
            assert deliver({**one, "attributes": {"ApproximateReceiveCount": "2"}}) == []
        place = f"call {at}, {[*faults.calls, 'none'][at - 1]}"
        assert journey.has_ended(), place
        assert not journey.is_there, place
        assert len(wakes()) > sent, place
    wakes.close()
    assert at > 4, "there were calls to fail"


def test_a_good_file_takes_six_calls_of_its_own(world):
    first = Accepted(*world)
    with Faults("none", 0) as faults:
        deliver(message(first.key, first.version))
    own = ["PutItem", "GetObject", "BatchGetItem", "PutObject", "TransactWriteItems", "DeleteObject"]
    once_per_batch = ["GetObject", "UpdateItem", "SendMessage"]  # the model's spec, arrival and wake
    assert sorted(faults.calls) == sorted(own + once_per_batch)


def test_one_message_delivered_many_times_at_once_is_one_content(world):
    store, ledger = world
    version = store.put("incoming/toy/a.csv", text(lines(40)))
    one = message("incoming/toy/a.csv", version)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: deliver(one), range(6))) == [[]] * 6
    assert ledger.version("incoming/toy/a.csv", version).state == "accepted"
    (found,) = ledger.data("toy")
    assert len(client("s3").list_object_versions(Bucket=DATA, Prefix="accepted/")["Versions"]) == 1
    assert store.get(found.key)
    assert store.keys("incoming/") == []


def test_an_entry_that_is_discarded_while_its_bytes_come_again_keeps_a_copy(world, monkeypatch):
    store, ledger = world
    first = Quarantined(store, ledger)
    deliver(message(first.key, first.version))
    (entry,) = ledger.quarantine_entries("toy")
    original = Ledger.quarantine

    def late(self, *arguments):
        if ledger.transition_entry("toy", entry.id, ["open"], "discarded"):
            client("s3").delete_object(Bucket=DATA, Key=entry.key)
        return original(self, *arguments)

    monkeypatch.setattr(Ledger, "quarantine", late)
    again = store.put(first.key, first.body)
    assert deliver(message(first.key, again)) == []
    (found,) = ledger.quarantine_entries("toy")
    assert (found.state, found.seen) == ("open", 2)
    assert store.get(found.key) == first.body


def test_of_many_messages_with_one_content_at_once_one_is_accepted(world):
    store, ledger = world
    body = text(lines(40, seed=50_000))
    keys = [f"incoming/toy/same-{number}.csv" for number in range(8)]
    versions = {key: store.put(key, body) for key in keys}
    assert deliver(*(message(key, versions[key], key) for key in keys)) == []
    states = sorted(ledger.version(key, versions[key]).state for key in keys)
    assert states == ["accepted", *["duplicate"] * 7]
    assert len(ledger.data("toy")) == 1


def test_of_many_messages_with_one_bad_content_at_once_each_is_counted(world):
    store, ledger = world
    keys = [f"incoming/toy/same-{number}.csv" for number in range(8)]
    versions = {key: store.put(key, "nothing") for key in keys}
    assert deliver(*(message(key, versions[key], key) for key in keys)) == []
    assert {ledger.version(key, versions[key]).state for key in keys} == {"quarantined"}
    (entry,) = ledger.quarantine_entries("toy")
    assert (entry.seen, entry.state) == (8, "open")
