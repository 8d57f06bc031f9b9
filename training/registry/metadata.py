"""What a model package says of its version: flat, short texts out of the stored decision."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

# CustomerMetadataProperties: at most 50 keys, values of 1 to 256 of these characters.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
MAX_KEYS, MAX_VALUE = 50, 256
NOTHING = "none"
# Whoever releases and approves adds keys of their own later.
KEYS_LEFT_FOR_OTHERS = 8
_NOT_ALLOWED = re.compile(r"[^\w\s.:/=+\-@]+")
# A digest or an address that was cut would be another one: it is left out instead.
_WHOLE = ("champion_url",)


def of(decision: Mapping[str, Any], decision_sha256: str) -> dict[str, str]:
    """The package's properties.

    Args:
        decision: As it is stored under ``decisions/<model>/<run id>.json``.
        decision_sha256: Digest of those bytes.
    """
    digests, window = decision["digests"], decision["window"]
    found = {
        **{name: decision.get(name) for name in _COPIED},
        "rows": decision["rows"]["total"],
        "rows_compared": decision["rows"]["holdout"],
        "dropped": decision["rows"]["dropped"],
        "contract_version": decision["contract_version"],
        "training_digest": digests["training"],
        "code_digest": digests["code"],
        "spec_digest": digests["spec"],
        "window": window["setting"],
        "window_from": window["from"],
        "window_to": window["to"],
        "decision_sha256": decision_sha256,
        "approver": "gate" if decision["approval"] == "Approved" else None,
    }
    texts = {name: _text(value) for name, value in found.items()}
    too_long = [name for name in _WHOLE if len(texts[name]) > MAX_VALUE]
    return {name: value(text) for name, text in texts.items() if name not in too_long}


_COPIED = (
    *("run_id", "version", "decision", "metric", "challenger", "champion", "gain", "gain_low"),
    *("significance", "holdout_uses", "champion_run_id", "champion_url", "champion_version_id", "files"),
    *("data_version", "data_version_uri", "manifest_uri", "manifest_sha256", "artifact_sha256"),
    *("artifact_version_id", "passport_sha256", "model_digest", "decision_uri", "report_uri", "image"),
    *("trigger", "reason"),
)


def value(text: str) -> str:
    """A text as a model package takes it: other characters become spaces, the end is cut."""
    plain = " ".join(_NOT_ALLOWED.sub(" ", text).split())
    return plain[:MAX_VALUE].strip() or NOTHING


def _text(found: object) -> str:
    if found is None or found == "":
        return NOTHING
    if isinstance(found, float):
        return f"{found:.6g}" if math.isfinite(found) else NOTHING
    return str(found)
