"""The environment MiniStack reads when it is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

from sandbox.lifecycle import ACCOUNT, HOST, REGION

SERVICES = (
    "s3",
    "sqs",
    "sns",
    "iam",
    "sts",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "events",
    "scheduler",
    "states",
    "dynamodb",
)


def prepare(*, port: int, run_dir: Path, wait_scale: float) -> None:
    """Set the environment MiniStack reads when it is imported; call before anything imports it."""
    temporary = run_dir / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    os.environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "SERVICES": ",".join(SERVICES),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            # What localstack-client signs with unless told otherwise; MiniStack's own `test` is root besides.
            "AWS_ACCESS_KEY_ID": "accesskey",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "STATE_DIR": str(run_dir / "state"),
            "S3_DATA_DIR": str(run_dir / "s3"),
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_HOST": f"unix://{run_dir}/no-docker.sock",
            "SFN_WAIT_SCALE": str(wait_scale),
            "TMPDIR": str(temporary),
        }
    )
    # Functions run as processes here; the Docker client alone costs a third of the start and 30 MB.
    sys.modules.setdefault("docker", cast("ModuleType", None))
    # Lambda workers inherit the environment and must find their code in their bundle, not in this checkout.
    os.environ.pop("PYTHONPATH", None)
