"""Promises that hold across the parts."""

import tests.infra  # noqa: F401 - imports pulumi_aws without its warnings
