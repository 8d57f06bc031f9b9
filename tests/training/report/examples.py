"""Decisions and evaluations of every kind of model, whole and with holes."""

from __future__ import annotations

from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

from models.spec import ModelSpec
from tests.training.examples import declare
from tests.training.gate.examples import evaluation as plain_evaluation
from tests.training.gate.examples import part
from training.gate.decide import decide

DIGEST = "ab" * 32
# Names that are markup, code, control characters or addresses where somebody forgot to escape.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></svg></table>",
    "&lt;b&gt;",
    "`'\"",
    "a|b\n## c\n- d",
    "[x](javascript:alert(1))",
    "\u202egpj.exe",
    "\x00\x1b[31m",
    "\ud800",
    "https://evil.example/",
    "x" * 100_000,
)
METRIC = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}
_SCORES = {
    "binary": ({"roc_auc": 0.7562, "log_loss": 0.4711}, {"roc_auc": 0.7276, "log_loss": 0.4698}),
    "multiclass": ({"accuracy": 0.6613, "log_loss": 0.9}, {"accuracy": 0.6012, "log_loss": 1.1}),
    "regression": ({"rmse": 12.31, "r2": 0.41}, {"rmse": 13.52, "r2": 0.33}),
}
CURVES = {
    "binary": {
        "roc": [[0.0, 0.0], [0.1, 0.4], [0.4, 0.8], [1.0, 1.0]],
        "pr": [[0.0, 1.0], [0.5, 0.6], [1.0, 0.3]],
        "confusion": {"labels": ["0", "1"], "counts": [[17_123, 877], [5_432, 3_288]], "left_out": 0},
        "scores": {
            "edges": [0.0, 0.25, 0.5, 0.75],
            "counts": [14_000, 9_000, 3_720],
            "positives": [2_000, 3_500, 3_220],
        },
    },
    "multiclass": {
        "confusion": {
            "labels": ["high", "low", "x"],
            "counts": [[60, 4, 42], [3, 132, 53], [32, 69, 105]],
            "left_out": 7,
        }
    },
    "regression": {
        "residuals": {
            "edges": [-10.0, -5.0, 0.0, 5.0, 10.0],
            "counts": [10, 40, 45, 5],
            "below": 2,
            "above": 1,
        },
        "predicted_actual": [[1.0, 2.0], [3.5, 3.0], [7.0, 9.25]],
    },
}


def spec(task: str = "binary", **gate: Any) -> ModelSpec:
    return declare(task, gate={"metric": METRIC[task], "slices": ["kind"], **gate}, description="Is it late?")


def evaluation(task: str = "binary", *, champion: bool = True, **changes: Any) -> dict[str, Any]:
    """An evaluation with everything in it."""
    metric = METRIC[task]
    ours, theirs = _SCORES[task]
    found = plain_evaluation(ours[metric], theirs[metric] if champion else None, metric=metric)
    bins = [{"score": 0.1, "share": 0.12, "rows": 900}, {"score": 0.6, "share": 0.5, "rows": 90}]
    calibrated = {"error": 0.0171, "bins": bins}
    both = {"challenger": calibrated, "champion": calibrated if champion else None}
    before = {"contract": "c" * 12, "training": "1" * 64, "code": "9" * 64, "spec": "", "run_id": "r0"}
    slices = [part(0.0123, feature="kind", value="a", rows=9_111), part(-0.02, feature="kind", value="b")]
    alone = dict.fromkeys(("champion", "loss", "standard_error", "effective_blocks"))
    found |= {
        "task": task,
        "challenger": ours,
        "champion": theirs if champion else None,
        "files": ["accepted/toy/a.csv", "accepted/toy/b.csv"],
        "window": {"setting": "all", "from": "2013-01-01T00:00:00", "to": "2013-05-31T23:00:00"},
        "holdout": found["holdout"] | {"days": {f"2013-05-{day:02d}": 890 + day for day in range(2, 32)}},
        "sliced": ["kind"],
        "slices": slices if champion else [one | alone for one in slices],
        "calibration": both if task == "binary" else None,
        "curves": {"challenger": CURVES[task], "champion": CURVES[task] if champion else None},
        "importance": [
            {"feature": "size", "mean": 0.0585, "standard_error": 0.002},
            {"feature": "kind", "mean": -0.0013, "standard_error": 0.0004},
        ],
        "digests": {"contract": "c" * 12, "training": "1" * 64, "code": "2" * 64, "spec": "3" * 64},
        "champion_digests": before if champion else None,
        "seconds": {"read": 1.5, "fit": 20.25},
    }
    return found | changes


def decision(found: dict[str, Any], declared: ModelSpec, uses: float = 0.0, **changes: Any) -> dict[str, Any]:
    """The stored decision about an evaluation, as the judge writes it."""
    decided = decide(found, declared.gate, uses)
    at = "s3://upkeep-test-artifacts"
    document = {
        "schema": 2,
        "model": "toy",
        "run_id": "r1234567890",
        "version": "1.2.3",
        **decided.to_dict(),
        "approval": "PendingManualApproval" if decided.promote else "Rejected",
        "rows": {**found["rows"], "dropped": 31},
        "files": 2,
        "trigger": "data",
        "data_version": "d" * 20,
        "contract_version": "c" * 12,
        "window": found.get("window", {}),
        "manifest_uri": "s3://upkeep-test-data/manifests/toy/r1.json",
        "manifest_sha256": DIGEST,
        "champion_run_id": found.get("champion_run_id"),
        "model_data_url": f"{at}/training/toy/output/model.tar.gz",
        "artifact_sha256": "cd" * 32,
        "passport_sha256": "ef" * 32,
        "model_digest": "12" * 32,
        "digests": found.get("digests", {}),
        "versions": {"scikit-learn": "1.9.0"},
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        "decision_uri": f"{at}/decisions/toy/r1.json",
        "report_uri": f"{at}/decisions/toy/r1.html",
        "gate": asdict(declared.gate),
        "at": "2026-11-21T17:00:00Z",
    }
    return document | changes


def documents(task: str = "binary", **options: Any) -> tuple[dict[str, Any], dict[str, Any], ModelSpec]:
    """Decision, evaluation and spec that belong together."""
    found, declared = evaluation(task, **options), spec(task)
    return decision(found, declared), found, declared


class Page(HTMLParser):
    """What a reader finds in a page; fails on elements that are not closed in their order."""

    VOID = frozenset({"meta", "br", "hr", "col", "!doctype"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}: {attrs}"
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} is closed and was never opened"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.rows and {"td", "th"} & set(self.open) and "svg" not in self.open:
            self.rows[-1][-1] += data

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def having(self, name: str, **attributes: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a name that have these among them."""
        return [found for tag, found in self.tags if tag == name and attributes.items() <= found.items()]

    @property
    def sections(self) -> list[str]:
        return [str(found["id"]) for found in self.having("section")]

    def row(self, first: str) -> list[str]:
        """The cells of the first row of a table that begins so."""
        return next(cells for cells in self.rows if cells and cells[0].startswith(first))
