"""Brings the files that an experiment is judged by to this machine: captured requests, and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upkeep.errors import UpkeepError
from upkeep.outputs import ModelOutputs
from upkeep.render import size
from upkeep.runs import Clients

CONTROL, TREATMENT = "AllTraffic", "Challenger"
MAX_BYTES = 4_000_000_000
MAX_FILES = 200_000
_THREADS = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object in the data bucket.

    Attributes:
        key: Its key.
        bytes: Its size.
        modified: When it was written, seconds since 1970.
        variant: Which variant's requests it holds; empty for labels.
    """

    key: str
    bytes: int
    modified: float
    variant: str = ""


def capture_prefix(model: ModelOutputs, variant: str) -> str:
    """Where data capture puts the requests of a variant; the address in the configuration comes first.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
    """
    return f"capture/{model.name}/{model.endpoint}/{variant}/"


def label_prefix(model: ModelOutputs) -> str:
    """Where people put labels."""
    return f"labels/{model.name}/"


def list_captures(context: Clients, model: ModelOutputs, variant: str, since: float) -> list[Found]:
    """The capture files of a variant from the hour of `since` on; they lie in folders by hour, in UTC."""
    prefix = capture_prefix(model, variant)
    first = datetime.fromtimestamp(since, UTC).strftime("%Y/%m/%d/%H")
    found = _list(context, prefix, start_after=f"{prefix}{first}")
    return [Found(**one, variant=variant) for one in found if one["key"].endswith(".jsonl")]


def list_labels(context: Clients, model: ModelOutputs, since: float) -> list[Found]:
    """The label files written since then, oldest first; no truth is known before its question was asked."""
    found = [Found(**one) for one in _list(context, label_prefix(model))]
    chosen = [f for f in found if f.key.lower().endswith(".csv") and f.modified >= int(since)]
    return sorted(chosen, key=lambda f: (f.modified, f.key))


def download(
    context: Clients, wanted: Sequence[Found], folder: Path, progress: Progress = lambda _done, _all: None
) -> list[Path]:
    """Bring objects to a folder, in the order given.

    Args:
        context: Reaches the bucket.
        wanted: The objects.
        folder: Where to; the files are named by their number.
        progress: Told the bytes there, and all.

    Raises:
        UpkeepError: They are too many, or too large together.
    """
    total = sum(one.bytes for one in wanted)
    if total > MAX_BYTES or len(wanted) > MAX_FILES:
        raise UpkeepError(
            f"The experiment has {len(wanted):,} files of {size(total)} by now; at most {MAX_FILES:,} files "
            f"and {size(MAX_BYTES)} are read on one machine. Record a smaller share of the requests "
            "(serving.capture_percent), or decide now."
        )
    s3, bucket = context.client("s3"), context.outputs.data_bucket
    paths = [folder / f"{number}{Path(one.key).suffix}" for number, one in enumerate(wanted)]

    def fetch(item: tuple[Found, Path]) -> int:
        one, path = item
        s3.download_file(bucket, one.key, str(path))
        return one.bytes

    done = 0
    progress(0, total)
    with ThreadPoolExecutor(_THREADS) as pool:
        for count in pool.map(fetch, zip(wanted, paths, strict=True)):
            done += count
            progress(done, total)
    return paths


def _list(context: Clients, prefix: str, start_after: str = "") -> Iterator[dict[str, Any]]:
    more = {"StartAfter": start_after} if start_after else {}
    pages = context.client("s3").get_paginator("list_objects_v2").paginate(
        Bucket=context.outputs.data_bucket, Prefix=prefix, **more
    )  # fmt: skip
    for page in pages:
        for item in page.get("Contents", []):
            yield {
                "key": item["Key"],
                "bytes": item["Size"],
                "modified": item["LastModified"].timestamp(),
            }
