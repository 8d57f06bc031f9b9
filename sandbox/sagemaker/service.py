"""The SageMaker service of the sandbox: one object that answers every operation.

The control plane is our own: a store of requests and status fields, answers made with botocore's shapes, and
worker threads that do what the platform does around the containers.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sandbox.sagemaker.background import Ticker
from sandbox.sagemaker.capture import Capture
from sandbox.sagemaker.clock import Clock, SystemClock
from sandbox.sagemaker.containers import Containers
from sandbox.sagemaker.context import Context
from sandbox.sagemaker.endpoint_configs import EndpointConfigs
from sandbox.sagemaker.endpoints import Endpoints
from sandbox.sagemaker.errors import ApiError, unknown_operation, validation
from sandbox.sagemaker.events import Outbox
from sandbox.sagemaker.invoke import Answer, Invoker
from sandbox.sagemaker.logs import Logs
from sandbox.sagemaker.metrics import InvocationMetrics
from sandbox.sagemaker.model_groups import ModelGroups
from sandbox.sagemaker.model_packages import ModelPackages
from sandbox.sagemaker.models import Models
from sandbox.sagemaker.platform import Platform
from sandbox.sagemaker.processing_jobs import ProcessingJobs
from sandbox.sagemaker.settings import Settings
from sandbox.sagemaker.store import Store
from sandbox.sagemaker.tags import Tags
from sandbox.sagemaker.training_jobs import TrainingJobs

_log = logging.getLogger(__name__)

Operation = Callable[[dict[str, Any]], dict[str, Any]]


class SageMaker:
    """Answers SageMaker's operations. `close()` ends every process and thread it started.

    `settings` shortens AWS's times; `containers` and `clock` are replaced by tests.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        settings: Settings | None = None,
        containers: Containers | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        if containers is None:
            from sandbox.sagemaker.image_containers import ImageContainers

            containers = ImageContainers()
        platform.root.mkdir(parents=True, exist_ok=True)
        self._context = context = Context(
            platform=platform,
            settings=settings or Settings(),
            clock=clock,
            store=Store(platform.region, platform.account_id),
            events=Outbox(platform),
            logs=Logs(platform, clock),
            containers=containers,
        )
        self._training_jobs = TrainingJobs(context)
        self._processing_jobs = ProcessingJobs(context)
        self._endpoints = Endpoints(context)
        self._metrics = InvocationMetrics(platform, clock)
        self._capture = Capture(context, random.random)
        self._invoker = Invoker(context, self._endpoints, self._metrics, self._capture)
        self._operations = self._table()
        self._control = ThreadPoolExecutor(8, "sagemaker-api")
        self._data = ThreadPoolExecutor(context.settings.max_parallel_invocations, "sagemaker-invoke")
        self._ticker = Ticker(
            "sagemaker-ticker",
            [
                (0.5, context.logs.flush),
                (1.0, self._metrics.flush),
                (0.25, self._capture.flush_full),
                (context.settings.capture_flush_seconds, self._capture.flush),
                (context.settings.health_seconds, self._endpoints.heal),
            ],
        )

    @property
    def operations(self) -> list[str]:
        """The names of the operations of the control plane."""
        return sorted(self._operations)

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer one operation; raises ApiError, and nothing else."""
        function = self._operations.get(operation)
        if function is None:
            raise unknown_operation(operation, list(self._operations))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._control, self._call, operation, function, params)

    async def invoke_endpoint(self, name: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Answer InvokeEndpoint: status, headers and body, as they go over the wire."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._data, self._invoker.invoke, name, body, headers)

    def counts(self) -> dict[str, int]:
        """How many resources there are of each kind."""
        return self._context.store.counts()

    def flush(self) -> None:
        """Send what is buffered (events, logs, metrics, captures) now."""
        self._context.events.flush()
        self._context.logs.flush()
        self._metrics.flush()
        self._capture.flush()

    async def close(self) -> None:
        """End every job, server and thread; what was buffered is sent first."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._context.closing.set()
        self._training_jobs.kill()
        self._processing_jobs.kill()
        self._training_jobs.close()
        self._processing_jobs.close()
        self._endpoints.close()
        self._data.shutdown(wait=True, cancel_futures=True)
        self._control.shutdown(wait=True, cancel_futures=True)
        self._ticker.close()
        self._context.events.close()

    @staticmethod
    def _call(operation: str, function: Operation, params: dict[str, Any]) -> dict[str, Any]:
        try:
            return function(params)
        except ApiError:
            raise
        except KeyError as error:
            # Requests are validated before they come here, so this is a caller that bypassed the gateway.
            raise validation(f"{operation}: the request lacks the member {error}.") from error
        except Exception as error:
            _log.exception("%s failed", operation)
            raise ApiError(
                "InternalFailure", f"{operation} failed in the sandbox: {type(error).__name__}: {error}", 500
            ) from error

    def _table(self) -> dict[str, Operation]:
        jobs, processing, endpoints = self._training_jobs, self._processing_jobs, self._endpoints
        models, configs = Models(self._context), EndpointConfigs(self._context)
        groups, packages, tags = (
            ModelGroups(self._context),
            ModelPackages(self._context),
            Tags(self._context),
        )
        return {
            "CreateTrainingJob": jobs.create,
            "DescribeTrainingJob": jobs.describe,
            "ListTrainingJobs": jobs.list_all,
            "StopTrainingJob": jobs.stop,
            "DeleteTrainingJob": jobs.delete,
            "CreateProcessingJob": processing.create,
            "DescribeProcessingJob": processing.describe,
            "ListProcessingJobs": processing.list_all,
            "StopProcessingJob": processing.stop,
            "DeleteProcessingJob": processing.delete,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "ListModels": models.list_all,
            "DeleteModel": models.delete,
            "CreateEndpointConfig": configs.create,
            "DescribeEndpointConfig": configs.describe,
            "ListEndpointConfigs": configs.list_all,
            "DeleteEndpointConfig": configs.delete,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "ListEndpoints": endpoints.list_all,
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.update_weights,
            "DeleteEndpoint": endpoints.delete,
            "CreateModelPackageGroup": groups.create,
            "DescribeModelPackageGroup": groups.describe,
            "ListModelPackageGroups": groups.list_all,
            "DeleteModelPackageGroup": groups.delete,
            "CreateModelPackage": packages.create,
            "DescribeModelPackage": packages.describe,
            "ListModelPackages": packages.list_all,
            "UpdateModelPackage": packages.update,
            "DeleteModelPackage": packages.delete,
            "AddTags": tags.add,
            "ListTags": tags.list_all,
            "DeleteTags": tags.delete,
        }
