"""Where the model comes from: everything needed to find the bytes, verify them and train again."""

from __future__ import annotations

from training.report import pieces
from training.report.markup import Html, tag
from training.report.numbers import finite, mapping
from training.report.pieces import code
from training.report.subject import Subject, approval, fact, word

_MOST_VERSIONS = 30
_MEGABYTE = 1_000_000
PARTS = {
    "contract": "the interface: columns, target and their rules",
    "training": "estimator, hyperparameters, seed and window",
    "code": "the code that trains and serves",
    "spec": "the whole spec",
}
_URIS = {
    "decision_uri": "decision",
    "evaluation_uri": "evaluation",
    "report_uri": "this report",
    "manifest_uri": "manifest",
    "data_version_uri": "data version",
    "model_data_url": "artifact",
    "champion_url": "champion's artifact",
}


def section(subject: Subject) -> Html:
    """Run, versions, digests and places."""
    decision = subject.decision
    return pieces.section(
        "provenance",
        "Where it comes from",
        pieces.facts(
            [
                ("version", subject.label),
                ("run", code(subject.fact("run_id"))),
                ("approval", approval(decision)),
                ("comment", fact(decision, "approval_comment")),
                ("decided at", fact(decision, "at", 40)),
                ("training job", code(subject.fact("training_job"))),
                ("champion's run", code(subject.fact("champion_run_id"))),
                ("image", code(subject.fact("image"))),
                ("versions", _versions(subject)),
                ("unpacked model", _size(subject)),
                ("training took", _seconds(subject)),
                *((name, code(fact(decision, key))) for key, name in _URIS.items()),
            ]
        ),
        _changed(subject),
        tag("h3", "Digests of the bytes"),
        pieces.facts(
            [
                ("model", code(subject.fact("model_digest"))),
                ("artifact, SHA-256", code(fact(decision, "artifact_sha256"))),
                ("artifact, object version", code(fact(decision, "artifact_version_id"))),
                ("passport, SHA-256", code(subject.fact("passport_sha256"))),
                ("manifest, SHA-256", code(fact(decision, "manifest_sha256"))),
                ("data version", code(fact(decision, "data_version"))),
                ("contract version", code(fact(decision, "contract_version"))),
            ]
        ),
    )


def changes(subject: Subject) -> list[tuple[str, str, bool | None]]:
    """What decides the model, its digest, and whether it differs from the champion's; None when unknown."""
    ours = mapping(subject.decision.get("digests")) or subject.part("digests")
    theirs = subject.part("champion_digests")
    found: list[tuple[str, str, bool | None]] = []
    for part in PARTS:
        digest = fact(ours, part, 80)
        if not digest and part == "spec":
            digest = subject.fact("spec_digest")
        before = fact(theirs, part, 80)
        if digest:
            found.append((part, digest, digest != before if before else None))
    return found


def _changed(subject: Subject) -> Html | None:
    found = changes(subject)
    if not found:
        return None
    said = {True: "changed", False: "the same", None: "not known"}
    compared = bool(subject.part("champion_digests"))
    lines = [
        (PARTS[part], tag("code", digest), *([said[changed]] if compared else []))
        for part, digest, changed in found
    ]
    head = ("what decides the model", "digest", *(["since the champion"] if compared else []))
    return pieces.table(head, lines)


def _versions(subject: Subject) -> str | None:
    found = mapping(subject.decision.get("versions")) or subject.part("versions")
    names = sorted(found, key=str)[:_MOST_VERSIONS]
    return ", ".join(f"{word(name, 40)} {word(found[name], 40)}" for name in names) or None


def _size(subject: Subject) -> str | None:
    found = finite(subject.evaluation.get("artifact_bytes"))
    return None if found is None else f"{found / _MEGABYTE:,.2f} MB"


def _seconds(subject: Subject) -> str | None:
    phases = subject.part("seconds")
    known = [(word(name, 40), second) for name in phases if (second := finite(phases[name])) is not None][:12]
    if not known:
        return None
    parts = ", ".join(f"{name} {second:,.1f}" for name, second in known)
    return f"{sum(second for _, second in known):,.1f} s ({parts})"
