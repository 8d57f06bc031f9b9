"""Tests of the Pulumi program."""

import importlib
import warnings

with warnings.catch_warnings():
    # pulumi_aws warns about classes that nobody here names, when one of its services is named for the first time.
    warnings.simplefilter("ignore", DeprecationWarning)
    for _service in ("cloudwatch", "iam", "kms", "lambda_", "s3", "sagemaker", "sfn", "sns", "sqs"):
        importlib.import_module(f"pulumi_aws.{_service}")
