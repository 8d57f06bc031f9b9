"""How `upkeep models` prints versions and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from training.ledger.rollouts import RolloutRecord
from upkeep import models, render
from upkeep.model_details import Details
from upkeep.model_diff import PARTS, Change, ModelDiff
from upkeep.models import Registry, Version

_SERVES, _PLAIN = "▸", " "
_FILES = 8
_DIGITS = 12
# Facts of a package that are shown, with the names people know them by.
_DATA = (
    ("rows", "rows"), ("compared on", "rows_compared"), ("files", "files"), ("left out", "dropped"),
    ("data", "data_version"), ("window", "window"), ("from", "window_from"), ("to", "window_to"),
)  # fmt: skip
_DIGESTS = (
    ("model", "model_digest"), ("artefact", "artifact_sha256"), ("passport", "passport_sha256"),
    ("manifest", "manifest_sha256"), ("decision", "decision_sha256"), ("image", "image"),
    ("as served", "image_digest"),
)  # fmt: skip


def show_list(found: Sequence[Registry], out: Console) -> None:
    """Print the versions of all models, with what serves marked."""
    versions = [one for registry in found for one in registry.versions]
    short = render.is_terminal(out)
    cells = [_cells(one, datetime.now(UTC), short=short) for one in versions]
    metrics = {one.metric for one in versions} - {""}
    columns = [name for name in cells[0] if name != "model" or len(found) > 1]
    if short and len(metrics) == 1:
        # The name of the one metric is enough, above its values.
        columns.remove("metric")
        titles = [metrics.pop() if name == "score" else name for name in columns]
    else:
        titles = columns
    right = [
        title for title, name in zip(titles, columns, strict=True) if name in ("no", "score", "gain", "rows")
    ]
    render.show_table(out, titles, [[line[name] for name in columns] for line in cells], right=right)
    for registry in found:
        for line in _below(registry):
            out.print(line)


def show_one(details: Details, report: str, out: Console) -> None:
    """Print everything about one version."""
    version, package = details.version, details.version.package
    traffic = f"{version.share:.0%} of the traffic" if version.share else ""
    facts: list[tuple[str, object]] = [
        ("version", version.label),
        ("number", version.number),
        ("model", version.model),
        ("state", version.state),
        ("serves", traffic),
        ("run", version.run_id),
        ("registered", version.since),
        ("trigger", details.fact("trigger")),
        ("released", details.fact("released_at")),
        ("decision", details.fact("decision")),
        ("reason", (details.decision or {}).get("reason") or details.fact("reason")),
        ("gain", _gain(details)),
        ("approval", package.approval if package else None),
        ("approver", details.fact("approver")),
        ("approved at", details.fact("approved_at")),
        ("comment", details.fact("approval_comment")),
        ("note", (package.note or details.fact("release_reason")) if package else None),
    ]
    _facts(out, facts)
    _show_checks(details.checks(), out)
    _show_metrics(details, out)
    _section(out, "Data", [(name, _number(details.fact(key))) for name, key in _DATA])
    digests = [(name, details.fact(key)) for name, key in _DIGESTS]
    _section(out, "Digests", [*digests, *((part, details.digest(part)) for part in PARTS)])
    _section(
        out,
        "Where",
        [
            ("artefact", version.model_data_url),
            ("manifest", details.fact("manifest_uri")),
            ("decision", details.fact("decision_uri")),
            ("evaluation", details.fact("evaluation_uri")),
            ("report", report if package else ""),
            ("config", details.fact("endpoint_config")),
            ("package", package.arn if package else ""),
        ],
    )
    for said in details.missing:
        out.print(Text(f"Not read: {said}", style=render.WARN))
    if details.changed:
        said = "The decision at that place is not the one that was registered: its digest differs."
        out.print(Text(said, style=render.BAD))


def show_difference(found: ModelDiff, out: Console) -> None:
    """Print what differs between two versions."""
    a, b = found.first.version, found.second.version
    out.print(Text(f"{a.model}  {_titled(a)} → {_titled(b)}", style="bold"))
    if found.is_empty:
        out.print("The same data, spec and code.")
    _show_data(found, out)
    _show_changes("Features", found.features, out)
    _show_changes("Hyperparameters", found.hyperparameters, out)
    _show_changes("Spec", found.spec, out)
    digests = [
        Change(name=one.name, before=_short(one.before), after=_short(one.after)) for one in found.digests
    ]
    _show_changes("Digests", digests, out)
    if found.metrics:
        out.print()
        cells = [[one.name, one.before, one.after, _difference(one)] for one in found.metrics]
        columns = ["metric", a.label, b.label, "change"]
        if a.label == b.label:
            columns = ["metric", f"number {a.number}", f"number {b.number}", "change"]
        render.show_table(out, columns, cells, right=columns[1:])
        out.print(Text("Each on its own holdout: only the gate compares two on the same rows.", style="dim"))
    if any(found.importance):
        out.print()
        out.print(Text("What matters most", style="bold"))
        out.print(f"  {a.label}: {', '.join(found.importance[0]) or '-'}")
        out.print(f"  {b.label}: {', '.join(found.importance[1]) or '-'}")
    for said in found.notes:
        out.print(Text(f"Not compared: {said}", style=render.WARN))


def _cells(one: Version, now: datetime, *, short: bool) -> dict[str, object]:
    """The cells of a version; `short` is for a screen, which is narrow."""
    when: object = one.since
    if short and one.since is not None:
        at = one.since.astimezone(UTC)
        when = f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d}"
    return {
        _PLAIN: _SERVES if one.share else _PLAIN,
        "model": one.model,
        "version": one.label,
        "no": str(one.number),
        "run": "seed" if one.is_seed else one.run_id[:8],
        "state": f"{one.state} {one.share:.0%}" if 0 < one.share < 1 else one.state,
        "metric": one.metric,
        "score": one.score,
        "gain": None if one.gain is None else f"{one.gain:+.4f}",
        "rows": one.rows,
        "when": when,
    }


def _gain(details: Details) -> str:
    """How much better it was, how sure that is, and how often the rows had been decided on."""
    if details.version.gain is None:
        return ""
    found = f"{details.version.metric} {details.version.gain:+.4f}"
    parts = (
        ("at least", "gain_low"),
        ("significance", "significance"),
        ("use of the holdout", "holdout_uses"),
    )
    more = [f"{words} {details.fact(name)}" for words, name in parts if details.fact(name)]
    return f"{found} ({', '.join(more)})" if more else found


def _below(registry: Registry) -> list[Text]:
    """What of a model's versions wants attention, or is under way."""
    name, lines = registry.model.name, []
    pending = [one for one in registry.versions if one.state == models.PENDING]
    for one in pending:
        said = f"{name}: {one.words} waits: `upkeep models approve {one.number}` or `reject {one.number}`."
        lines.append(Text(said, style=render.WARN))
    noted = registry.rollout
    if noted is not None and noted.owner:
        lines.append(Text(f"{name}: {_under_way(noted)}.", style="cyan"))
    if noted is not None and noted.experiment:
        shares = ", ".join(f"{one.label} {one.share:.0%}" for one in registry.versions if one.share)
        lines.append(Text(f"{name}: experiment {noted.experiment} is on: {shares}.", style="cyan"))
    if registry.live is None and registry.serving.status != "Missing":
        said = f"{name}: what serves is none of these: {registry.serving.model_data_url or 'unknown'}."
        lines.append(Text(said, style=render.BAD))
    return lines


def _under_way(noted: RolloutRecord) -> str:
    phase = f" ({noted.phase})" if noted.phase else ""
    return f"{noted.operation or 'rollout'} of {noted.version or 'a version'} is under way{phase}"


def _facts(out: Console, facts: Sequence[tuple[str, object]]) -> None:
    render.show_facts(out, [(name, value) for name, value in facts if value not in (None, "")])


def _section(out: Console, title: str, facts: Sequence[tuple[str, object]]) -> None:
    if any(value not in (None, "") for _, value in facts):
        out.print()
        out.print(Text(title, style="bold"))
        _facts(out, facts)


def _show_checks(checks: Sequence[Mapping[str, Any]], out: Console) -> None:
    if not checks:
        return
    out.print()
    cells = [
        [
            "passed" if one.get("passed") else "failed",
            one.get("name"),
            one.get("found"),
            one.get("limit"),
            one.get("words"),
        ]
        for one in checks
    ]
    render.show_table(out, ["check", "of", "found", "limit", "in words"], cells, right=["found", "limit"])


def _show_metrics(details: Details, out: Console) -> None:
    measured, before = details.metrics(), details.champion()
    if not measured:
        return
    out.print()
    cells = [[name, value, before.get(name)] for name, value in measured.items()]
    columns = ["metric", "this version", "champion then"]
    render.show_table(out, columns, cells, right=columns[1:])


def _show_data(found: ModelDiff, out: Console) -> None:
    data = found.data
    before, after = data.rows
    if before is not None and after is not None:
        out.print(f"rows      {before:,} → {after:,} ({after - before:+,})")
    if not data.known:
        out.print(Text("The lists of files are not recorded for both.", style=render.WARN))
    for mark, style, keys in (("+", render.GOOD, data.added), ("-", render.BAD, data.removed)):
        shown = keys[:_FILES] if render.is_terminal(out) else keys
        for key in shown:
            out.print(Text(f"{mark} {key}", style=style))
        if len(shown) < len(keys):
            out.print(f"{mark} and {len(keys) - len(shown)} more; --json shows all.")


def _show_changes(title: str, changes: Sequence[Change], out: Console) -> None:
    if not changes:
        return
    out.print()
    out.print(Text(title, style="bold"))
    for one in changes:
        mark, style = ("+", render.GOOD) if one.before is None else ("~", render.WARN)
        if one.after is None:
            mark, style = "-", render.BAD
        line = Text(f"{mark} {one.name}", style=style)
        sides = [_value(value) for value in (one.before, one.after) if value is not None]
        line.append(f": {' → '.join(sides)}", style="")
        out.print(line)


def _titled(one: Version) -> str:
    return f"{one.label} ({'seed' if one.is_seed else f'number {one.number}'}, {one.state})"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} {_value(inner)}" for name, inner in value.items() if inner not in (None, ())
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _difference(one: Change) -> str | None:
    if isinstance(one.before, float) and isinstance(one.after, float):
        return f"{one.after - one.before:+.4f}"
    return None


def _short(digest: object) -> str | None:
    return None if digest is None else str(digest)[:_DIGITS]


def _number(text: str) -> object:
    return int(text) if text.isdecimal() else text
