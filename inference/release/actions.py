"""What the protocol can decide. Each action changes one thing at most, and may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Somebody else has to get ready first."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Pin:
    """Remember in the operation which configuration it wants to get away from."""

    away: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Take the claim, whose it ``was``, and write down these fields of the record.

    It is taken only while the record is the one that this was decided on (its ``epoch``).
    """

    was: str
    changes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Note:
    """Change these fields of the record, as its owner; ``owner=""`` among them frees the claim."""

    changes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class RequestStop:
    """Ask the operation that holds the claim to stop."""

    owner: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class VerifyPassport:
    """Compare artifact, manifest and decision with what was registered, and note the result."""


@dataclass(frozen=True, kw_only=True)
class Create:
    """Make the model and the endpoint configuration."""


@dataclass(frozen=True, kw_only=True)
class RunCheck:
    """Start a check in a processing job."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class SetStopAlarm:
    """Ring the stop alarm, so that SageMaker takes the update back, or silence it."""

    ringing: bool


@dataclass(frozen=True, kw_only=True)
class Update:
    """Ask SageMaker for another configuration.

    Attributes:
        config: Its name.
        gradual: Whether traffic moves as the spec says, watched by alarms; otherwise all at once.
        package_arn: The version that must still be approved at that moment; empty asks for nothing.
        retain: Whether instance counts and weights that scaling has set stay.
    """

    config: str
    gradual: bool = False
    package_arn: str = ""
    retain: bool = True


@dataclass(frozen=True, kw_only=True)
class AskSample:
    """Ask the endpoint the sample that came with the model, and note the result."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Write in the registry what became of a version.

    Attributes:
        package_arn: The version.
        release: The mark.
        reason: Why, for people.
        config: The configuration it serves from; empty leaves what is written.
        reject: Whether its approval ends too.
    """

    package_arn: str
    release: str
    reason: str = ""
    config: str = ""
    reject: bool = False


@dataclass(frozen=True, kw_only=True)
class End:
    """The operation is over.

    Attributes:
        ok: Whether it came to what was wanted.
        outcome: ``live``, ``nothing``, or why not: failed, rolled_back, refused, withdrawn.
        reason: In words.
        tell: Whether people are told.
    """

    ok: bool
    outcome: str
    reason: str
    tell: bool = True


Action = (
    Wait
    | Pin
    | Claim
    | Note
    | RequestStop
    | VerifyPassport
    | Create
    | RunCheck
    | SetStopAlarm
    | Update
    | AskSample
    | Mark
    | End
)


def note(**changes: Any) -> Note:
    """A note of these fields."""
    return Note(changes=tuple(sorted(changes.items())))
