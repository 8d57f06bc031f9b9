"""An experiment as text: the two versions, what separates them, and what one may conclude."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from monitoring.losses import WORDS, LossName
from monitoring.sequential import BETTER, EQUAL, UNKNOWN, WORSE, Interval
from training.ledger.experiments import ExperimentRecord
from upkeep import render
from upkeep.experiments.fetch import CONTROL, TREATMENT
from upkeep.experiments.figures import SHARE_ALARM, Figures

_WIDTH = 50
_COLOURS = {BETTER: render.GOOD, WORSE: render.BAD, EQUAL: "cyan", UNKNOWN: render.WARN}
_ROUND = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def show(figures: Figures, out: Console) -> None:
    """Print all that is known."""
    record = figures.record
    render.show_facts(out, _facts(record))
    out.print()
    columns = ["variant", "version", "weight", "requests", "share", "outcomes", "mean loss", "errors"]
    rows = [_row(figures, CONTROL), _row(figures, TREATMENT)]
    render.show_table(out, columns, rows, right=columns[2:])
    out.print()
    if figures.test.count:
        for line in draw(figures.interval, figures.test.difference):
            out.print(Text(line))
        out.print()
    verdict = Text(headline(figures), style=f"bold {_COLOURS[figures.test.verdict]}")
    verdict.append(f" {explanation(figures)}", style="")
    out.print(verdict)
    for words in remarks(figures):
        out.print(Text(words, style=render.DIM))
    if figures.share_p < SHARE_ALARM:
        out.print(Text(share_warning(figures), style=render.WARN))


def headline(figures: Figures) -> str:
    """The verdict in a few words."""
    name = f"Version {figures.record.treatment_version}"
    return {
        BETTER: f"{name} is better.",
        WORSE: f"{name} is worse.",
        EQUAL: f"{name} makes no difference that matters.",
        UNKNOWN: "Not yet known.",
    }[figures.test.verdict]


def explanation(figures: Figures) -> str:
    """The verdict with its numbers."""
    record, test, interval = figures.record, figures.test, figures.interval
    if not test.count:
        return "No outcome is known yet: a captured request with an InferenceId, and a label for it."
    if test.difference is None:
        only = "control" if test.control.count else "treatment"
        return f"{test.count:,} outcomes, all of the {only}."
    sure = f"{1 - record.alpha:.0%}"
    words = (
        f"Its loss differs by {test.difference:+.4f} (from {interval.low:+.4f} to {interval.high:+.4f} with "
        f"{sure} confidence, whenever one looks) after {test.count:,} outcomes."
    )
    if test.decided_at:
        words += f" That was certain after {test.decided_at:,}."
    elif figures.needed:
        words += f" About {figures.needed:,} outcomes show a difference of {record.minimum_effect:g}."
    return words


def advice(figures: Figures) -> str:
    """What to do now."""
    return {
        BETTER: "`upkeep experiment stop --promote` releases it.",
        WORSE: "`upkeep experiment stop` ends it.",
        EQUAL: "`upkeep experiment stop` ends it; either version will do.",
        UNKNOWN: "Leave it running; looking again costs nothing.",
    }[figures.test.verdict]


def remarks(figures: Figures) -> list[str]:
    """What became of requests and labels that do not count."""
    found = figures.collected
    counted = (
        (found.waiting, "requests wait for labels"),
        (found.without_id, "requests have no InferenceId and cannot be labelled"),
        (found.repeated, "ids were given to several requests, which do not count"),
        (found.between, "requests came while the weights were changed, and do not count"),
        (found.unknown, "labels are of requests that were not captured in this experiment"),
        (found.problems.count, "lines of label files are not usable"),
        (found.unreadable.count, "captured requests are not readable"),
    )
    lines = [f"{count:,} {words}." for count, words in counted if count]
    named = [*found.problems.named, *found.unreadable.named]
    return [*lines, *(f"  {one}" for one in named)]


def share_warning(figures: Figures) -> str:
    """That requests do not go where the weights say."""
    share = figures.share(TREATMENT) or 0.0
    return (
        f"The treatment got {share:.1%} of the captured requests, its weight is {figures.record.weight:.1%}; "
        f"by chance that happens with probability {figures.share_p:.1g}. Requests with a TargetVariant or "
        "answers that are lost make the two versions answer different crowds: do not trust the verdict "
        "before it is explained."
    )


def draw(interval: Interval, difference: float | None) -> list[str]:
    """The interval on a line with zero in its middle.

    Args:
        interval: Where the difference lies.
        difference: The best guess of it.
    """
    reach = max(abs(interval.low), abs(interval.high))
    half = next((one for one in _ROUND if one >= reach), 1.0)

    def place(value: float) -> int:
        return round((value + half) / (2 * half) * (_WIDTH - 1))

    cells = ["─"] * _WIDTH
    low, high = place(max(interval.low, -half)), place(min(interval.high, half))
    for cell in range(low, high + 1):
        cells[cell] = "━"
    cells[low], cells[high] = "┣", "┫"
    cells[place(0.0)] = "┃"
    if difference is not None:
        cells[place(max(-half, min(half, difference)))] = "●"
    left, right = f"-{half:g}", f"+{half:g}"
    pad = " " * (len(left) + 1)
    ends = f"{pad}{'better'.ljust(_WIDTH - len('worse'))}worse"
    return [f"{left} {''.join(cells)} {right}", ends]


def _facts(record: ExperimentRecord) -> list[tuple[str, object]]:
    loss: LossName = record.loss  # type: ignore[assignment]
    scale = f", scale {record.scale:g}" if record.loss == "absolute" else ""
    since = datetime.fromtimestamp(record.started_at or record.created_at).astimezone()
    facts: list[tuple[str, object]] = [
        ("experiment", record.id),
        ("state", f"{record.state}{f': {record.reason}' if record.reason and not record.under_way else ''}"),
        ("since", since),
        ("loss", f"{record.loss}: {WORDS[loss]}{scale}"),
        ("confidence", f"{1 - record.alpha:.0%}, whenever one looks"),
    ]
    if record.minimum_effect:
        facts.append(("matters", f"a difference above {record.minimum_effect:g}"))
    return facts


def _row(figures: Figures, variant: str) -> list[object]:
    treated = variant == TREATMENT
    record, arm = figures.record, figures.test.treatment if treated else figures.test.control
    counts = figures.counts.get(variant, {})
    errors = counts.get("Invocation5XXErrors")
    share = figures.share(variant)
    return [
        variant,
        record.treatment_version if treated else record.control_version or "seed",
        f"{record.weight if treated else 1 - record.weight:.1%}",
        figures.collected.count(treated=treated),
        None if share is None else f"{share:.1%}",
        arm.count,
        arm.mean if arm.count else None,
        None if errors is None else int(errors),
    ]


def show_list(found: Sequence[ExperimentRecord], out: Console) -> None:
    """Print experiments, newest first."""
    if not found:
        out.print("There was no experiment. `upkeep experiment start VERSION` begins one.")
        return
    columns = ["id", "state", "control", "treatment", "weight", "began", "outcomes", "verdict"]
    rows = [
        [
            one.id,
            one.state,
            one.control_version or "seed",
            one.treatment_version,
            f"{one.weight:.1%}",
            datetime.fromtimestamp(one.started_at or one.created_at).astimezone(),
            one.summary.get("outcomes"),
            one.verdict,
        ]
        for one in found
    ]
    render.show_table(out, columns, rows, right=["weight", "outcomes"])
