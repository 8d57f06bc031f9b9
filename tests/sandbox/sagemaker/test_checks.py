"""The check of a new version as a processing job through the API, with the image's own server inside."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.preflight import places, prepare, result
from inference.preflight.places import Served
from infra import archives
from tests.inference.preflight import running
from tests.inference.preflight.fakes import OWNER, captured
from tests.inference.preflight.fakes import FakeS3 as ReleaseS3
from tests.inference.preflight.test_prepare import PLAN
from tests.sandbox.sagemaker.fakes import IMAGE, ROLE, within
from tests.sandbox.sagemaker.test_end_to_end import RealService

pytestmark = pytest.mark.image

ENDED = ("Completed", "Failed", "Stopped")
HANGING = "import time\ntime.sleep(600)\n"
CAPTURE = "capture/toy/upkeep-t-toy/AllTraffic/2026/11/21/10/a.jsonl"


@pytest.fixture(scope="module")
def real() -> Iterator[RealService]:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="uk-"))
    service = RealService(folder / "sm")
    yield service
    service.close()
    left = [path.name for path in service.platform.root.iterdir()]
    shutil.rmtree(folder)
    assert left == []


class Release:
    """What the release function does around a job: before it, and after it."""

    def __init__(self, real: RealService, challenger: dict[str, str], attempt: str) -> None:
        self._real, self.s3 = real, ReleaseS3()
        name = places.job_name("upkeep-t-toy", "r2", attempt)
        self.plan = replace(
            PLAN,
            model="toy",
            run_id="r2",
            job_name=name,
            endpoint="upkeep-t-toy",
            challenger=Served(
                model_data_url=f"s3://artifacts/{attempt}/model.tar.gz", environment=running.ENVIRONMENT
            ),
            champion=Served(
                model_data_url="s3://artifacts/old/model.tar.gz", environment=running.ENVIRONMENT
            ),
            image=IMAGE,
            role_arn=ROLE,
            key_arn="",
            features=running.FEATURES,
            code_uri="s3://artifacts/code/code.tar.gz",
        )
        self.s3.put(
            "data", CAPTURE, "\n".join(captured(r.body.decode()) for r in running.requests(0.2, 0.45))
        )
        self.s3.put("artifacts", f"{attempt}/model.tar.gz", running.tarball(challenger))
        self.s3.put("artifacts", "old/model.tar.gz", running.tarball(running.model(1.0)))
        self.s3.put("artifacts", "code/code.tar.gz", archives.tar_gz(archives.sources()))

    def start(self) -> None:
        parameters = prepare.prepare(self.s3, self.plan)
        self._real.platform.s3.objects |= self.s3.objects
        self._real("CreateProcessingJob", **parameters)

    def ended(self) -> dict[str, Any]:
        return self._real.until(
            "DescribeProcessingJob",
            "ProcessingJobStatus",
            *ENDED,
            seconds=90,
            ProcessingJobName=self.plan.job_name,
        )

    def found(self) -> result.CheckResult | None:
        self.s3.objects = dict(self._real.platform.s3.objects)
        return result.read(
            self.s3,
            bucket="artifacts",
            model="toy",
            run_id="r2",
            job_name=self.plan.job_name,
            owner=OWNER,
        )

    def page(self) -> bytes:
        prefix = places.folder("toy", "r2", self.plan.job_name)
        return self.s3.objects["artifacts", prefix + places.REPORT]


def test_two_checks_at_the_same_time_keep_to_themselves(real: RealService) -> None:
    good = Release(real, running.model(1.2), "good")
    bad = Release(real, running.model(module="import nothing_like_this\n"), "bad")
    for release in (good, bad):
        release.start()
    for release in (good, bad):
        assert release.ended()["ProcessingJobStatus"] == "Completed", real.platform.logs
    passed, refused = good.found(), bad.found()
    assert passed is not None
    assert refused is not None
    assert (passed.passed, passed.requests, passed.errors) == (True, 2, 0), passed.reason
    assert passed.shadow is not None
    assert passed.shadow["changed_labels"] == 1
    assert b"<svg" in good.page()
    assert (refused.passed, refused.shadow) == (False, None)
    assert "nothing_like_this" in refused.reason
    job = good.ended()
    assert job["ExitMessage"] == f"passed: {passed.reason}"
    assert job["NetworkConfig"] == {"EnableNetworkIsolation": True}
    details = real.platform.events_of("SageMaker Processing Job State Change")
    statuses = [d["ProcessingJobStatus"] for d in details if d["ProcessingJobName"] == good.plan.job_name]
    assert statuses == ["InProgress", "Completed"]
    real.sagemaker.flush()
    groups = {group for group, stream in real.platform.logs if stream.startswith(good.plan.job_name)}
    assert groups == {"/aws/sagemaker/ProcessingJobs"}


def test_a_check_that_is_stopped_ends_at_once_with_its_server(real: RealService) -> None:
    release = Release(real, running.model(module=HANGING), "hanging")
    release.start()
    work = _when_its_server_runs(real.platform.root)
    begun = time.monotonic()
    real("StopProcessingJob", ProcessingJobName=release.plan.job_name)
    assert release.ended()["ProcessingJobStatus"] == "Stopped"
    assert time.monotonic() - begun < 20  # and not the 120 s that SIGTERM leaves
    assert release.found() is None
    with within() as wait:
        wait(lambda: not work.exists())
    assert not [p for p in Path("/proc").iterdir() if _is_in(p, work.parents[1])]


def _when_its_server_runs(root: Path) -> Path:
    """The job's working folder, once its server has built its code and begun to import it."""
    deadline = time.monotonic() + 60
    while True:
        for log in root.glob("p-*/processing/work/server.log"):
            if "Successfully installed" in log.read_text():
                return log.parent
        assert time.monotonic() < deadline, "no server was started"
        time.sleep(0.05)


def _is_in(process: Path, tree: Path) -> bool:
    try:
        return f"SAGEMAKER_BASE_DIR={tree}" in (process / "environ").read_text("latin-1")
    except OSError:
        return False


def test_the_code_of_the_check_fits_the_archive_of_the_stack() -> None:
    assert "inference/preflight/main.py" in archives.sources()
    assert json.loads(json.dumps(prepare.ENTRYPOINT))[0] == "python3"
