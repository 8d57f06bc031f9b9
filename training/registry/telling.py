"""The decision in words and pictures; what cannot be drawn is told of in its place and stops nothing.

The decision is made and stored before anything is drawn. A model that is ready must not be lost to a curve
that has no points.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping
from typing import Any

from models.spec import ModelSpec

_log = logging.getLogger(__name__)


def page(decision: Mapping[str, Any], evaluation: Mapping[str, Any], spec: ModelSpec) -> str:
    """The report as one HTML page."""
    try:
        from training.report import page as drawing

        return drawing.render(decision, evaluation, spec)
    except Exception as error:  # noqa: BLE001 - see above; the log keeps the trace
        _log.exception("the report of %s %s could not be drawn", decision["model"], decision["run_id"])
        words = (
            f"The report could not be drawn ({type(error).__name__}: {error}).",
            f"The decision: {decision['reason']}.",
            f"All its numbers: {decision['decision_uri']}",
        )
        told = "".join(f"<p>{html.escape(one)}</p>" for one in words)
        title = html.escape(f"{decision['model']} {decision['version']}")
        return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>{told}</html>'


def summary(decision: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """The decision in a few lines of text."""
    try:
        from training.report import summary as wording

        return wording.text(decision, evaluation)
    except Exception:  # noqa: BLE001 - see above; the log keeps the trace
        _log.exception("no summary of %s %s could be made", decision["model"], decision["run_id"])
        return f"{decision['model']} {decision['version']}: {decision['reason']}."
