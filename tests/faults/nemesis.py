"""What goes wrong: with each call, with each event, with each execution. Decided by a seed, nothing else.

A decision depends on what it is about, not on how many were made before it, so that a fault stays where it
was when something else in the story changes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.account import Call

THROTTLE, OUTAGE, LOSE, HANG = "throttle", "outage", "lose", "hang"
KILL_BEFORE, KILL_AFTER = "kill before", "kill after"
KINDS = (THROTTLE, OUTAGE, LOSE, HANG, KILL_BEFORE, KILL_AFTER)
PROMOTE, REFUSE, FAIL = "promote", "refuse", "fail"


@dataclass(frozen=True)
class Stretch:
    """From when to when which share of all calls fails how; seconds after the world began."""

    begin: float
    end: float
    kind: str = OUTAGE
    share: float = 1.0


@dataclass(frozen=True)
class Strike:
    """One fault at one place: the so-and-so-manyth call, of all or of one operation."""

    call: int
    kind: str
    operation: str = ""


@dataclass
class Nemesis:
    """All faults of one story.

    Attributes:
        seed: Of all its decisions.
        rates: Share of calls that meet each kind of fault.
        stretches: Times when much goes wrong.
        strikes: Single faults at set places.
        duplicates: Share of messages that come more than once.
        most_copies: How often at most.
        redelivers: Share of receives after which a message is handed out again while it is worked on.
        delay_seconds: How late a message may be.
        lost: Share of S3's events that nobody ever gets.
        lost_endings: Share of the events of ended executions that nobody ever gets.
        failing: Share of executions that fail.
        hopeless: Share of data versions on which every training fails, also when all else is calm.
        refusing: Share of the others whose model is refused.
        begin: When the world began.
        calm: Nothing goes wrong any more.
        struck: All that went wrong with calls.
        calls: How many calls there were.
        counts: How many of each operation.
    """

    seed: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    stretches: Sequence[Stretch] = ()
    strikes: Sequence[Strike] = ()
    duplicates: float = 0.0
    most_copies: int = 2
    redelivers: float = 0.0
    delay_seconds: float = 0.0
    lost: float = 0.0
    lost_endings: float = 0.0
    failing: float = 0.0
    hopeless: float = 0.0
    refusing: float = 0.3
    begin: float = 0.0
    calm: bool = False
    struck: list[str] = field(default_factory=list)
    calls: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def of(self, call: Call, attempt: int, now: float) -> str:
        """The fate of one attempt of a call."""
        if attempt == 1:
            self.calls += 1
            self.counts[call.operation] += 1
            for strike in self.strikes:
                count = self.counts[strike.operation] if strike.operation else self.calls
                if strike.call == count and strike.operation in ("", call.operation):
                    return self._note(strike.kind, call)
        if self.calm:
            return ""
        for stretch in self.stretches:
            if stretch.begin <= now - self.begin < stretch.end and self.chance(
                stretch.share, "stretch", call.by, call.number, attempt
            ):
                return self._note(stretch.kind, call)
        if self.rates:
            thrown = self.throw("call", call.by, call.number, attempt)
            for kind, rate in self.rates.items():
                if thrown < rate:
                    return self._note(kind, call)
                thrown -= rate
        return ""

    def copies(self, what: str) -> int:
        """How often a message comes."""
        if self.calm or not self.chance(self.duplicates, "copies", what):
            return 1
        return 2 + int(self.throw("how many", what) * (self.most_copies - 1))

    def delay(self, what: str, copy: int) -> float:
        """How late a copy of a message is; most are in time."""
        if self.calm or not self.delay_seconds:
            return 0.0
        return float(self.delay_seconds * self.throw("delay", what, copy) ** 3)

    def loses(self, what: str, rate: float) -> bool:
        """Whether nobody ever gets an event."""
        return not self.calm and self.chance(rate, "lost", what)

    def ending(self, run: str, data_version: str) -> str:
        """How an execution ends."""
        if self.chance(self.hopeless, "hopeless", data_version):
            return FAIL
        if not self.calm and self.chance(self.failing, "fails", run):
            return FAIL
        return REFUSE if self.chance(self.refusing, "refuses", run) else PROMOTE

    def chance(self, share: float, *about: Any) -> bool:
        """Whether something of this probability happens."""
        return share > 0 and self.throw(*about) < share

    def throw(self, *about: Any) -> float:
        """A number from 0 to 1 that depends on the seed and on what it is about."""
        digest = hashlib.blake2b(repr((self.seed, *about)).encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48

    def _note(self, kind: str, call: Call) -> str:
        self.struck.append(f"{kind}: {call.by} call {call.number}, {call.operation} {call.what}")
        return kind
