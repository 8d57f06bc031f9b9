"""AWS clients of the Lambdas: made at first use, kept while the function is warm, with bounded waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_CONNECT_TIMEOUT_SECONDS = 5
_READ_TIMEOUT_SECONDS = 30
_ATTEMPTS = 4


@cache
def client(service: str) -> Any:
    """A boto3 client with timeouts and at most four attempts per call."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=_READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
    )
    make: Any = boto3.client  # its overloads list every service there is
    return make(service, config=config)


@dataclass(frozen=True)
class Place:
    """Where a function runs: the parts of its own ARN."""

    partition: str
    region: str
    account: str

    @classmethod
    def of(cls, function_arn: str) -> Place:
        """Read ``arn:aws:lambda:<region>:<account>:function:<name>``."""
        _, partition, _, region, account, *_ = function_arn.split(":")
        return cls(partition, region, account)

    def arn(self, service: str, resource: str) -> str:
        """An ARN of the same account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def require(environment: Mapping[str, str], *names: str) -> list[str]:
    """The values of environment variables.

    Raises:
        KeyError: Names all that are not set.
    """
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise KeyError(f"environment variables not set: {', '.join(missing)}")
    return [environment[name] for name in names]


def is_missing(error: Exception, s3: Any, bucket: str, key: str, owner: str) -> bool:
    """Whether reading an object failed because it is not there.

    S3 says 404 only to callers that may list the bucket as a whole; to one that may list some prefixes, as
    our functions may, it can say 403. Then the listing of the key's own prefix tells.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    if code(error) in ("404", "NoSuchKey", "NotFound", "NoSuchVersion"):
        return True
    if code(error) not in ("403", "AccessDenied", "Forbidden"):
        return False
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1, ExpectedBucketOwner=owner)
    return key not in [item["Key"] for item in listed.get("Contents", [])]


def code(error: Exception) -> str:
    """Error code of a botocore ClientError."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
