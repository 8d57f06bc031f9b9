"""The model card: one version for people who want to use it, as Markdown.

Sections as in Mitchell et al., Model Cards for Model Reporting, 2019: https://arxiv.org/abs/1810.03993
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.spec import ModelSpec
from training.report import losses
from training.report.markdown import code, facts, plain, table
from training.report.numbers import NOTHING, finite, items, mapping, percent, shown, signed
from training.report.provenance import PARTS, changes
from training.report.subject import CHALLENGER, CHAMPION, Subject, approval, better, fact, gain, metrics
from training.words import allowed

_MOST_FEATURES, _MOST_SLICES, _MOST_IMPORTANT, _MOST_CHECKS = 300, 50, 15, 100
_TASKS = {
    "binary": "The answer is a score from 0 to 1; from 0.5 on the label is 1.",
    "multiclass": "The answer is a class, and the probability of each.",
    "regression": "The answer is a number.",
}
_OF_PACKAGE = ("approver", "approved_at", "approval_comment", "image_digest")
_RELEASES = {
    "live": "serves",
    "superseded": "has served",
    "failed": "its release failed",
    "rolled_back": "was rolled back",
    "refused": "its release was refused",
    "retry": "is to be released again",
    "experiment": "is part of an experiment",
}


def render(
    package_metadata: Mapping[str, str],
    decision: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    spec: ModelSpec,
) -> str:
    """The card.

    Args:
        package_metadata: Of the model package; knows who approved it, and whether it serves.
        decision: As it is stored.
        evaluation: As the job wrote it; None when it cannot be read any more.
        spec: The model was trained with.
    """
    known = {name: package_metadata[name] for name in _OF_PACKAGE if fact(package_metadata, name)}
    subject = Subject({**decision, **known}, evaluation or {}, spec)
    version = f"{spec.name} {subject.label}"
    sections = {
        "": [plain(spec.description)] if spec.description else [],
        "The model": _model(subject, package_metadata),
        "What it is for": _use(spec),
        "What it takes": _inputs(spec),
        "How good it is": _quality(subject),
        "Where it is weaker": _slices(subject),
        "What it looks at": _importance(subject),
        "Data": _data(subject),
        "Why it was " + ("promoted" if subject.promoted else "refused"): _decision(subject),
        "Where it comes from": _provenance(subject),
        "What to be careful about": _limits(subject),
    }
    lines = [f"# {plain(version)}"]
    for title, found in sections.items():
        if found:
            lines += ["", *([f"## {title}", ""] if title else []), *found]
    return "\n".join(lines) + "\n"


def _model(subject: Subject, package: Mapping[str, str]) -> list[str]:
    spec, decision = subject.spec, subject.decision
    release = fact(package, "release")
    hyperparameters = ", ".join(f"{name} {value}" for name, value in spec.training.hyperparameters.items())
    return facts(
        [
            ("Version", plain(subject.label)),
            ("Run", code(subject.fact("run_id"))),
            ("Decided at", plain(fact(decision, "at", 40))),
            ("Task", f"{spec.task}, predicts {code(spec.target)}"),
            (
                "Estimator",
                code(spec.training.estimator) + (f" ({plain(hyperparameters)})" if hyperparameters else ""),
            ),
            ("Approval", plain(approval(decision) or NOTHING)),
            ("Approved at", plain(fact(decision, "approved_at"))),
            ("Comment", plain(fact(decision, "approval_comment"))),
            ("Against the gate", "yes" if fact(package, "overridden") else None),
            ("Release", plain(_RELEASES.get(release, release))),
            ("Released at", plain(fact(package, "released_at"))),
            ("Why", plain(fact(package, "release_reason"))),
        ]
    )


def _use(spec: ModelSpec) -> list[str]:
    words = (
        f"It is for rows like those it was fitted on. {_TASKS[spec.task]} It says nothing about why "
        "something happens, and nothing about what would happen if an input were changed on purpose."
    )
    return [words]


def _inputs(spec: ModelSpec) -> list[str]:
    features = spec.features[:_MOST_FEATURES]
    left_out = len(spec.features) - len(features)
    lines = [(code(one.name), one.type, plain(allowed(one), 300)) for one in features]
    more = ["", f"And {left_out:,} more, in the spec."] if left_out else []
    return [*table(("feature", "type", "takes"), lines), *more]


def _quality(subject: Subject) -> list[str]:
    ours, theirs = subject.part(CHALLENGER), subject.part(CHAMPION)
    names = metrics(subject.spec.task, subject.metric, ours, theirs)[:_MOST_CHECKS]
    if not names:
        score = finite(subject.decision.get("challenger"))
        return (
            []
            if score is None
            else [f"{plain(subject.metric)} {shown(score)}; the evaluation cannot be read."]
        )
    lines = []
    for name in names:
        one, other = finite(ours.get(name)), finite(theirs.get(name))
        both = [shown(other), signed(gain(name, one, other))] if theirs else []
        lines.append((f"{plain(name, 60)} ({better(name)})", shown(one), *both))
    head = ("metric", "this model", *(("the one before", "gain") if theirs else ()))
    latency = finite(subject.part("latency").get("p99_milliseconds"))
    error = finite(subject.part("calibration", CHALLENGER).get("error"))
    low = finite(subject.decision.get("gain_low"))
    return [
        f"On {shown(subject.rows('holdout'))} rows that it was not fitted on, the newest there were.",
        "",
        *table(head, lines, len(head) - 1),
        "",
        *facts(
            [
                ("The gain is at least", signed(low) if low is not None else None),
                ("Calibration error (mean distance of score and share)", shown(error)),
                (
                    "99 of 100 single rows are answered within",
                    f"{latency:.3g} ms" if latency is not None else None,
                ),
            ]
        ),
    ]


def _slices(subject: Subject) -> list[str]:
    found = losses.of(subject)
    if not found:
        return []
    compared = any(one.loss is not None for one in found)
    lines = [
        (
            f"{plain(one.feature, 60)}: {plain(one.value, 60)}",
            shown(one.rows),
            shown(one.challenger),
            *((shown(one.champion), signed(one.loss), one.words) if compared else ()),
        )
        for one in found[:_MOST_SLICES]
    ]
    head = ("slice", "rows", plain(subject.metric), *(("the one before", "loss", "") if compared else ()))
    rest = len(found) - _MOST_SLICES
    more = ["", f"And {rest:,} more, in the report."] if rest > 0 else []
    return [*table(head, lines, 4 if compared else 2), *more]


def _importance(subject: Subject) -> list[str]:
    found = [mapping(one) for one in items(subject.evaluation.get("importance"))]
    lines = [
        (code(one.get("feature"), 80), signed(mean))
        for one in found[:_MOST_IMPORTANT]
        if (mean := finite(one.get("mean"))) is not None
    ]
    if not lines:
        return []
    words = f"What {plain(subject.metric)} loses when the values of one feature are shuffled."
    return [words, "", *table(("feature", "loss"), lines, 1)]


def _data(subject: Subject) -> list[str]:
    window = mapping(subject.decision.get("window")) or subject.part("window")
    held = subject.part("holdout")
    repeated = finite(subject.part("leakage", CHALLENGER).get("repeated"))
    counts = {name: subject.rows(name) for name in ("fitted", "holdout", "dropped", "duplicates")}
    written = {name: None if count is None else shown(count) for name, count in counts.items()}
    first, last = fact(window, "from", 40), fact(window, "to", 40)
    return facts(
        [
            ("Fitted on", f"{written['fitted']} rows" if written["fitted"] else None),
            ("Judged on", f"{written['holdout']} newer rows" if written["holdout"] else None),
            ("Refused by the contract", f"{written['dropped']} rows" if written["dropped"] else None),
            ("Duplicates", f"{written['duplicates']} rows" if written["duplicates"] else None),
            ("Rows from", f"{plain(first)} to {plain(last)}" if first and last else None),
            ("Held out from", plain(fact(held, "from", 40) or fact(window, "holdout_from", 40))),
            ("Held-out rows that repeat fitted ones", percent(repeated) if repeated is not None else None),
            ("Window", plain(fact(window, "setting", 60))),
            ("Files", shown(subject.decision.get("files"))),
        ]
    )


def _decision(subject: Subject) -> list[str]:
    reason = fact(subject.decision, "reason", 1_100)
    found = [mapping(one) for one in items(subject.decision.get("checks"))][:_MOST_CHECKS]
    lines = [
        (
            plain(fact(one, "name", 80)),
            "yes" if one.get("passed") is True else "**no**",
            plain(fact(one, "words", 400)),
        )
        for one in found
    ]
    checked = ["", *table(("check", "passed", "in words"), lines)] if lines else []
    return [f"{plain(reason)}." if reason else "No reason was recorded.", *checked]


def _provenance(subject: Subject) -> list[str]:
    decision = subject.decision
    named = {
        "Champion's run": "champion_run_id",
        "Image": "image",
        "Image as served": "image_digest",
        "Artifact": "model_data_url",
        "Artifact SHA-256": "artifact_sha256",
        "Model digest": "model_digest",
        "Passport SHA-256": "passport_sha256",
        "Data manifest": "manifest_uri",
        "Data manifest SHA-256": "manifest_sha256",
        "Data version": "data_version",
        "Decision": "decision_uri",
        "Report": "report_uri",
    }
    said = {True: ", changed since the champion", False: ", as the champion's", None: ""}
    digests = [
        (f"Digest of {PARTS[part]}", code(digest) + said[new]) for part, digest, new in changes(subject)
    ]
    found = [
        (name, code(fact(decision, key)) if fact(decision, key) else None) for name, key in named.items()
    ]
    again = f"upkeep reproduce {subject.label} --model {subject.spec.name}"
    return [*facts([*found, *digests]), "", f"Train it again from the same inputs: {code(again)}"]


def _limits(subject: Subject) -> list[str]:
    """What the numbers above do not say, as far as it is known of this version."""
    evaluation = subject.evaluation
    lines = ["- The numbers are of the newest rows of its data; the world may have changed since."]
    if not subject.compared:
        lines.append("- It was compared with no other model.")
    if note := fact(evaluation, "note"):
        lines.append(f"- {plain(note)}.")
    lost = [one for one in losses.of(subject) if one.lost]
    if lost:
        names = ", ".join(f"{one.feature} {one.value}" for one in lost[:10])
        lines.append(f"- It is worse than the one before where {plain(names)}.")
    if not losses.of(subject):
        lines.append("- Nobody looked at parts of the rows by themselves (gate.slices).")
    error = finite(subject.part("calibration", CHALLENGER).get("error"))
    if subject.spec.task == "binary" and error is None:
        lines.append("- Whether its scores are probabilities was not measured.")
    if not evaluation:
        lines.append("- The evaluation cannot be read any more; only the decision's numbers are here.")
    return lines
