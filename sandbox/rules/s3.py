"""Rules of S3.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.rules.rule import Broken, Params, Rule

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_BAD_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_BAD_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _bucket(params: Params) -> Broken:
    name = str(params.get("Bucket", ""))
    good = _BUCKET.fullmatch(name) and not _ADDRESS.fullmatch(name) and ".." not in name
    if good and not name.startswith(_BAD_STARTS) and not name.endswith(_BAD_ENDS):
        return None
    return "InvalidBucketName", f"The specified bucket is not valid: {name}"


RULES: Mapping[str, Rule] = {
    "CreateBucket": _bucket,
}
