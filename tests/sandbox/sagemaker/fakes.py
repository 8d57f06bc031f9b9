"""A platform, an S3 and containers that exist only in memory."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sandbox.sagemaker.containers import OnLine, ProcessingRequest, ServingRequest, TrainingRequest
from sandbox.sagemaker.errors import validation

ROLE = "arn:aws:iam::000000000000:role/sagemaker"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


def s3_error(code: str, operation: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


class FakeS3:
    """Objects by (bucket, key); keys below a denied prefix answer AccessDenied."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.options: dict[tuple[str, str], dict[str, Any]] = {}
        self.denied: list[str] = []
        self.page = 1000

    def _allow(self, operation: str, bucket: str, key: str) -> None:
        if any(f"{bucket}/{key}".startswith(prefix) for prefix in self.denied):
            raise s3_error("AccessDenied", operation, 403)

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **options: Any) -> dict[str, Any]:  # noqa: N803
        self._allow("PutObject", Bucket, Key)
        self.objects[Bucket, Key] = Body if isinstance(Body, bytes) else Body.read()
        self.options[Bucket, Key] = options
        return {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self._allow("GetObject", Bucket, Key)
        if (Bucket, Key) not in self.objects:
            raise s3_error("NoSuchKey", "GetObject", 404)
        return {"Body": io.BytesIO(self.objects[Bucket, Key])}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self._allow("HeadObject", Bucket, Key)
        if (Bucket, Key) not in self.objects:
            raise s3_error("404", "HeadObject", 404)
        return {"ContentLength": len(self.objects[Bucket, Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:  # noqa: N803
        self._allow("ListObjectsV2", Bucket, Prefix)
        keys = sorted(key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix))
        rest = [key for key in keys if key > ContinuationToken]
        shown = rest[: self.page]
        answer: dict[str, Any] = {"Contents": [{"Key": key} for key in shown]}
        if len(rest) > len(shown):
            answer |= {"IsTruncated": True, "NextContinuationToken": shown[-1]}
        return answer


class FakePlatform:
    account_id = "000000000000"
    region = "us-east-1"
    endpoint_url = "http://127.0.0.1:9"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.s3 = FakeS3()
        self.roles = {ROLE}
        self.events: list[tuple[str, dict[str, Any], list[str]]] = []
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.metrics: list[tuple[str, dict[str, Any]]] = []
        self.alarms: dict[str, str] = {}
        self.sessions: list[tuple[str, str]] = []

    def role_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        if role_arn not in self.roles:
            raise validation(f"Could not assume role {role_arn}.")
        self.sessions.append((role_arn, session_name))
        return {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": role_arn}

    def s3_client(self, credentials: dict[str, str]) -> FakeS3:
        return self.s3

    def put_event(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append((detail_type, detail, resources))

    def put_logs(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        self.logs.setdefault((group, stream), []).extend(text for _, text in lines)

    def put_metrics(self, namespace: str, data: list[dict[str, Any]]) -> None:
        self.metrics.extend((namespace, datum) for datum in data)

    def alarm_states(self, names: list[str]) -> dict[str, str]:
        return {name: self.alarms[name] for name in names if name in self.alarms}

    def events_of(self, detail_type: str) -> list[dict[str, Any]]:
        return [detail for kind, detail, _ in self.events if kind == detail_type]

    def sums(self, name: str, **dimensions: str) -> float:
        """The sum of a metric over what was put."""
        total = 0.0
        for _, datum in self.metrics:
            found = {entry["Name"]: entry["Value"] for entry in datum["Dimensions"]}
            if datum["MetricName"] == name and dimensions.items() <= found.items():
                total += sum(v * c for v, c in zip(datum["Values"], datum["Counts"], strict=True))
        return total


JobScript = Callable[[Any, OnLine, threading.Event], int]


class FakeJob:
    """Runs a Python function as if it were a container."""

    def __init__(self, request: Any, on_line: OnLine, script: JobScript) -> None:
        self.request = request
        self.stopped = threading.Event()
        self.grace: float | None = None
        self._code: int | None = None
        self._thread = threading.Thread(target=self._run, args=(script, on_line), daemon=True)

    def _run(self, script: JobScript, on_line: OnLine) -> None:
        self._code = script(self.request, on_line, self.stopped)

    def start(self) -> None:
        self._thread.start()

    def wait(self, timeout_seconds: float | None) -> int | None:
        self._thread.join(timeout_seconds)
        return None if self._thread.is_alive() else self._code

    def stop(self, grace_seconds: float = 120) -> None:
        self.grace = grace_seconds
        self.stopped.set()
        self._thread.join(5)

    def failure_text(self) -> str:
        path = self.request.tree / "output" / "failure"
        return path.read_text() if path.exists() else ""


class FakeServer:
    """Answers with the text in the model's file `name.txt`; misbehaves as the variable BEHAVIOUR says."""

    def __init__(self, request: ServingRequest, on_line: OnLine) -> None:
        self.request_made = request
        self.on_line = on_line
        self.running = False
        self.pings = 0
        self.seen: list[tuple[bytes, dict[str, str]]] = []
        self.behaviour = request.environment.get("BEHAVIOUR", "ok")
        self.reply: Callable[[bytes, dict[str, str]], tuple[int, dict[str, str], bytes]] | None = None

    def start(self) -> None:
        self.running = self.behaviour != "exits"
        self.on_line("started")

    def alive(self) -> bool:
        return self.running

    def ping_status(self, timeout_seconds: float = 2.0) -> int:
        self.pings += 1
        if not self.running:
            return 502
        return {"never pings": 0, "cannot load": 500}.get(self.behaviour, 200)

    def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str], timeout_seconds: float
    ) -> tuple[int, dict[str, str], bytes]:
        self.seen.append((body, headers))
        if not self.running:
            raise ConnectionResetError("gone")
        if self.behaviour == "hangs":
            raise TimeoutError
        if self.reply is not None:
            return self.reply(body, headers)
        name = (self.request_made.tree / "model" / "name.txt").read_bytes()
        return 200, {"content-type": "text/csv; charset=utf-8"}, name

    def stop(self, grace_seconds: float = 30) -> None:
        self.running = False


class FakeContainers:
    def __init__(self) -> None:
        self.script: JobScript = lambda request, on_line, stop: 0
        self.jobs: list[FakeJob] = []
        self.servers: list[FakeServer] = []

    def training(self, request: TrainingRequest, on_line: OnLine) -> FakeJob:
        self.jobs.append(FakeJob(request, on_line, self.script))
        return self.jobs[-1]

    def processing(self, request: ProcessingRequest, on_line: OnLine) -> FakeJob:
        self.jobs.append(FakeJob(request, on_line, self.script))
        return self.jobs[-1]

    def serving(self, request: ServingRequest, on_line: OnLine) -> FakeServer:
        self.servers.append(FakeServer(request, on_line))
        return self.servers[-1]

    def running(self) -> list[FakeServer]:
        return [server for server in self.servers if server.running]


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@contextmanager
def within(seconds: float = 5.0) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Wait for a condition: `with within() as wait: wait(lambda: ...)`."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.005)

    yield wait
