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


@dataclass(frozen=True)
class Manifest:
    """A data set.

    Attributes:
        bucket: Where all the files lie.
        keys: Sorted and without repetition.
    """

    bucket: str
    keys: tuple[str, ...]

    @classmethod
    def of(cls, bucket: str, keys: Iterable[str]) -> Manifest:
        """The manifest of the given objects, in any order."""
        return cls(bucket, tuple(sorted(set(keys))))

    @property
    def body(self) -> str:
        """The canonical text."""
        return json.dumps([{"prefix": f"s3://{self.bucket}/"}, *self.keys], indent=0)

    @property
    def run_id(self) -> str:
        """First characters of the text's SHA-256: the same files give the same run; see also ``attempt``."""
        return hashlib.sha256(self.body.encode()).hexdigest()[:DIGEST_LENGTH]

    def attempt(self, number: int) -> str:
        """Run id of the given attempt: names of executions and training jobs are never used twice."""
        if number == 1:
            return self.run_id
        return hashlib.sha256(f"{self.body}\nattempt {number}".encode()).hexdigest()[:DIGEST_LENGTH]

    def key(self, model: str) -> str:
        """Where the manifest itself is stored."""
        return f"manifests/{model}/{self.run_id}.json"
