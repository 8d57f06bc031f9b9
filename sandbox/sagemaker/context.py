"""What every part of the service shares."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.sagemaker.clock import Clock
from sandbox.sagemaker.containers import Containers
from sandbox.sagemaker.events import Outbox
from sandbox.sagemaker.logs import Logs
from sandbox.sagemaker.platform import Platform
from sandbox.sagemaker.settings import Settings
from sandbox.sagemaker.store import Store


@dataclass(frozen=True)
class Context:
    """The platform around the service and the service's own state and channels."""

    platform: Platform
    settings: Settings
    clock: Clock
    store: Store
    events: Outbox
    logs: Logs
    containers: Containers
