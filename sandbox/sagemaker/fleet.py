"""The servers of one variant: started together, asked in turn, restarted when they die."""

from __future__ import annotations

import logging
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sandbox.sagemaker import archive, s3_data
from sandbox.sagemaker.containers import ServerContainer, ServingRequest
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.errors import ApiError
from sandbox.sagemaker.models import ServedContainer
from sandbox.sagemaker.settings import STARTUP_SECONDS

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_DRAIN_SECONDS = 65.0  # a request may take 60 s
_HURRIED_SECONDS = 1.0
_OK, _NOBODY_LISTENS = 200, 502  # the latter is the front's own word
_GROUP = "/aws/sagemaker/Endpoints/"


class FleetError(Exception):
    """A fleet that did not come up; the text is what DescribeEndpoint shows as FailureReason."""


class Instance:
    """One server process and its tree."""

    def __init__(self, tree: Path, container: ServerContainer) -> None:
        self.tree = tree
        self.container = container
        self.ready = False
        self.restarting = False


class Fleet:
    """The instances of one variant of one configuration."""

    def __init__(
        self,
        context: Context,
        pool: ThreadPoolExecutor,
        endpoint: str,
        variant: dict[str, Any],
        served: ServedContainer,
    ) -> None:
        self._context = context
        self._pool = pool
        self._endpoint = endpoint
        self.variant_name: str = variant["VariantName"]
        self.served = served
        settings = context.settings
        self._startup_seconds = settings.startup_timeout_seconds or float(
            variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_SECONDS
        )
        self._root = context.platform.root / f"e-{uuid.uuid4().hex[:8]}"
        self._stop = threading.Event()
        self._condition = threading.Condition()
        self._instances: list[Instance] = []
        self._starting: list[Future[None]] = []
        self._turn = 0
        self._in_flight = 0
        self._retired = False
        self._credentials: dict[str, str] | None = None

    @property
    def size(self) -> int:
        """How many instances there are, the ones being restarted included."""
        with self._condition:
            return len(self._instances)

    def start(self, count: int, cancel: threading.Event) -> None:
        """Fetch the model and start `count` servers; returns when all answer.

        Raises FleetError; an error of any kind leaves none.
        """
        try:
            self._fetch()
            self.scale(count, cancel)
        except BaseException:
            self.stop(_HURRIED_SECONDS)
            raise

    def scale(self, count: int, cancel: threading.Event) -> None:
        """Bring the number of instances to `count`; raises FleetError when new ones do not come up."""
        missing = count - self.size
        if missing > 0:
            futures = [self._pool.submit(self._launch, cancel) for _ in range(missing)]
            failures = [error for future in futures if (error := future.exception()) is not None]
            for failure in sorted(failures, key=lambda error: isinstance(error, FleetError)):
                raise failure  # one that nobody expected says more
        with self._condition:
            surplus, self._instances = self._instances[count:], self._instances[:count]
        self._end(surplus, self._context.settings.drain_grace_seconds)

    @contextmanager
    def lease(self) -> Iterator[ServerContainer | None]:
        """The next ready server, round robin; None when none is, or the fleet is retired.

        A retired fleet ends after its last lease.
        """
        with self._condition:
            ready = [] if self._retired else [i for i in self._instances if i.ready]
            self._turn += 1
            chosen = ready[self._turn % len(ready)] if ready else None
            self._in_flight += 1
        try:
            yield chosen.container if chosen else None
        finally:
            with self._condition:
                self._in_flight -= 1
                self._condition.notify_all()

    def heal(self) -> None:
        """Restart servers whose process has ended; does not wait for them."""
        with self._condition:
            if self._stop.is_set():
                return
            dead = [i for i in self._instances if not i.restarting and not i.container.alive()]
            for instance in dead:
                instance.ready, instance.restarting = False, True
                _log.warning("a server of %s/%s died and is restarted", self._endpoint, self.variant_name)
                self._starting.append(self._pool.submit(self._restart, instance))
            self._starting = [future for future in self._starting if not future.done()]

    def drain(self) -> None:
        """Let requests under way finish, then stop."""
        closing = self._context.closing
        deadline = self._context.clock.now() + _DRAIN_SECONDS
        with self._condition:
            self._retired = True
            while self._in_flight and not closing.is_set() and self._context.clock.now() < deadline:
                self._condition.wait(0.1)
        self.stop(_HURRIED_SECONDS if closing.is_set() else self._context.settings.drain_grace_seconds)

    def stop(self, grace_seconds: float) -> None:
        """Stop every server and remove the fleet's files."""
        self._stop.set()
        with self._condition:
            starting, self._starting = self._starting, []
            instances, self._instances = self._instances, []
        for future in starting:
            future.cancel()
        self._end(instances, grace_seconds)
        shutil.rmtree(self._root, ignore_errors=True)

    def _fetch(self) -> None:
        """Download the model once for all instances, with the rights of the model's role."""
        self._root.mkdir(parents=True, exist_ok=True)
        url = self.served.model_data_url
        try:
            if self.served.role_arn:
                self._credentials = self._context.platform.role_credentials(
                    self.served.role_arn, self._endpoint[:64]
                )
            if url:
                s3 = self._context.platform.s3_client(self._credentials or {})
                self._download(s3, url)
        except ApiError as error:
            raise FleetError(error.message) from error
        except s3_data.DataError as error:
            raise FleetError(
                f'Failed to download model data for container "container_1" from URL: "{url}". Please '
                "ensure that "
                "there is an object located at the URL and that the role passed to CreateModel has "
                "permissions to "
                f"download the object. ({error})"
            ) from error

    def _download(self, s3: Any, url: str) -> None:
        if self.served.compressed:
            s3_data.download(s3, *s3_data.split(url), self._root / "model.tar.gz")
            return
        source = {"S3DataType": "S3Prefix", "S3Uri": url}
        s3_data.fetch_source(
            s3,
            source,
            self._root / "files",
            "None",
            region=self._context.platform.region,
            role=self.served.role_arn or "",
        )

    def _launch(self, cancel: threading.Event) -> None:
        instance = self._make()
        try:
            self._run(instance, cancel)
        except BaseException:
            self._end([instance], _HURRIED_SECONDS)
            raise
        with self._condition:
            if not self._stop.is_set():
                self._instances.append(instance)
                return
        self._end([instance], _HURRIED_SECONDS)

    def _restart(self, instance: Instance) -> None:
        """Replace a dead server in its place; after a failure nothing runs, so the next look tries again."""
        try:
            self._end([instance], _HURRIED_SECONDS)
            fresh = self._make()
            instance.tree, instance.container = fresh.tree, fresh.container
            self._run(instance, self._stop)
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread's outcome
            _log.warning("restart of %s/%s: %s", self._endpoint, self.variant_name, error)
            self._end([instance], _HURRIED_SECONDS)
        finally:
            instance.restarting = False
        if self._stop.is_set():
            self._end([instance], _HURRIED_SECONDS)

    def _make(self) -> Instance:
        tree = self._root / uuid.uuid4().hex[:6]
        model = tree / "model"
        model.mkdir(parents=True)
        try:
            if (self._root / "model.tar.gz").exists():
                archive.unpack(self._root / "model.tar.gz", model)
            elif (self._root / "files").exists():
                shutil.copytree(self._root / "files", model, dirs_exist_ok=True)
        except archive.ArchiveError as error:
            raise FleetError(
                f'Failed to extract model data archive for container "container_1" from URL '
                f'"{self.served.model_data_url}". Please ensure that the object located at the URL is a '
                "valid tar.gz "
                f"archive. ({error})"
            ) from error
        platform = self._context.platform
        write = self._context.logs.writer(
            f"{_GROUP}{self._endpoint}", f"{self.variant_name}/i-{uuid.uuid4().hex[:17]}"
        )
        isolated = self.served.network_isolation
        environment = {**self.served.environment, "AWS_REGION": platform.region}
        if not isolated:
            environment["AWS_ENDPOINT_URL"] = platform.endpoint_url
        request = ServingRequest(
            name=f"{self._endpoint}-{self.variant_name}",
            tree=tree,
            environment=environment,
            network_isolation=isolated,
            credentials=None if isolated else self._credentials,
            region=platform.region,
            endpoint_url=platform.endpoint_url,
        )
        return Instance(tree, self._context.containers.serving(request, write))

    def _run(self, instance: Instance, cancel: threading.Event) -> None:
        """Start a server and wait for its first good ping; raises FleetError in AWS's words."""
        settings, clock = self._context.settings, self._context.clock
        instance.container.start()
        deadline = clock.now() + self._startup_seconds
        bad = 0
        while (status := instance.container.ping_status(settings.ping_timeout_seconds)) != _OK:
            bad += status not in (0, _NOBODY_LISTENS)
            hopeless = settings.bad_pings is not None and bad >= settings.bad_pings
            if self._stop.is_set() or cancel.is_set():
                raise FleetError("The endpoint was deleted while it started.")
            if hopeless or not instance.container.alive() or clock.now() >= deadline:
                self._context.logs.flush()
                raise FleetError(
                    f"The primary container for production variant {self.variant_name} did not pass the "
                    "ping health "
                    "check. Please check CloudWatch logs for this endpoint."
                )
            clock.wait(cancel, settings.ping_interval_seconds)
        instance.ready = True

    @staticmethod
    def _end(instances: list[Instance], grace_seconds: float) -> None:
        def end(instance: Instance) -> None:
            instance.ready = False
            try:
                instance.container.stop(grace_seconds=grace_seconds)
            finally:
                shutil.rmtree(instance.tree, ignore_errors=True)

        in_parallel(end, instances)


def in_parallel(work: Callable[[_T], None], items: Sequence[_T]) -> None:
    """Do something to every item at once and wait; raises the first error after all have had their turn."""
    if not items:
        return
    with ThreadPoolExecutor(min(8, len(items)), "sagemaker-stop") as pool:
        futures = [pool.submit(work, item) for item in items]
    for future in futures:
        future.result()
