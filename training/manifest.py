"""The data manifest: which files one training run reads. Its digest names the run.

The form is SageMaker's own ManifestFile:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

DIGEST_LENGTH = 20
ALL_ROWS = "all"


@dataclass(frozen=True)
class Manifest:
    """A data set.

    Attributes:
        bucket: Where all the files lie.
        keys: Sorted and without repetition.
        window: Which of their rows count, as ``training.window`` has it.
    """

    bucket: str
    keys: tuple[str, ...]
    window: str = ALL_ROWS

    @classmethod
    def of(cls, bucket: str, keys: Iterable[str], window: str = ALL_ROWS) -> Manifest:
        """The manifest of the given objects, in any order."""
        return cls(bucket, tuple(sorted(set(keys))), window)

    @property
    def body(self) -> str:
        """The canonical text."""
        return json.dumps([{"prefix": f"s3://{self.bucket}/"}, *self.keys], indent=0)

    @property
    def run_id(self) -> str:
        """First digits of a SHA-256: the same rows of the same files give the same; see also ``attempt``."""
        return _digest(self._identity)

    def attempt(self, number: int) -> str:
        """Run id of the given attempt: names of executions and training jobs are never used twice."""
        return self.run_id if number == 1 else _digest(f"{self._identity}\nattempt {number}")

    def key(self, model: str) -> str:
        """Where the manifest itself is stored."""
        return f"manifests/{model}/{self.run_id}.json"

    @property
    def _identity(self) -> str:
        return self.body if self.window == ALL_ROWS else f"{self.body}\nwindow {self.window}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
