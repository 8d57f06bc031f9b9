"""What training instances cost, so that a ceiling on money can hold before a bill comes."""

from __future__ import annotations

# On-demand SageMaker training in us-east-1, USD per hour. The price of ml.m5.large is what the AWS Price List
# answered for USE1-Train:ml.m5.large on the day below, as a public project quotes it; the others fit it and
# are in several public lists. None was compared with the page that bills follow, which needs a browser:
# https://aws.amazon.com/sagemaker/ai/pricing/
# Where yours differ (another region, a savings plan), declare `triggers.usd_per_hour`.
AS_OF = "2026-08-11"
REGION = "us-east-1"
_USD_PER_HOUR = {
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m5.12xlarge": 2.765,
    "ml.m5.24xlarge": 5.53,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
    "ml.c5.18xlarge": 3.672,
}
KNOWN_INSTANCES = tuple(_USD_PER_HOUR)


def usd_per_hour(instance_type: str) -> float | None:
    """Price of one instance for one hour; None when it is not in the table."""
    return _USD_PER_HOUR.get(instance_type)
