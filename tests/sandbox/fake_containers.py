"""A sandbox with the real control plane of SageMaker around containers that exist only in memory.

`python -m tests.sandbox.fake_containers`. A server answers with the model's file `name.txt` and misbehaves as
the model's variable BEHAVIOUR says: `exits`, `never pings`, `cannot load`, `hangs`.
"""

from __future__ import annotations

from sandbox import server
from sandbox.sagemaker.service import SageMaker
from tests.sandbox.sagemaker.fakes import FakeContainers
from tests.sandbox.sagemaker.harness import FAST

if __name__ == "__main__":
    raise SystemExit(
        server.main(
            sagemaker=lambda account, _wait_scale: SageMaker(
                account, settings=FAST, containers=FakeContainers()
            )
        )
    )
