"""Requests for a model that nobody has asked yet: the rows its training kept as a sample."""

from __future__ import annotations

import json
from typing import Any

from inference.preflight.recorded import Recorded
from training.outputs import OutputError, output_uri, read_document

SAMPLE = "sample.json"


def requests(s3: Any, model_data_url: str, bucket: str, owner: str) -> list[Recorded]:
    """One request per row and one with all rows; none when the training left no sample.

    Args:
        s3: boto3 client.
        model_data_url: The challenger's archive; the sample lies in the archive beside it.
        bucket: The artifacts bucket.
        owner: Account that owns it.
    """
    try:
        sample = read_document(s3, output_uri(model_data_url), SAMPLE, bucket=bucket, owner=owner)
    except OutputError:
        return []
    rows = sample.get("instances")
    if not isinstance(rows, list) or not rows:
        return []
    return [
        Recorded(json.dumps({"instances": group}).encode()) for group in ([[row] for row in rows] + [rows])
    ]
