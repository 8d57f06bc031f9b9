"""Rules of SNS.

Source: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.rules.rule import Broken, Params, Rule

_TOPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")


def _topic(params: Params) -> Broken:
    if _TOPIC_NAME.fullmatch(str(params.get("Name", ""))):
        return None
    return "InvalidParameter", "Invalid parameter: Topic Name"


RULES: Mapping[str, Rule] = {
    "CreateTopic": _topic,
}
