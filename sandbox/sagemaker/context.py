"""What every part of the service shares."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

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
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the sandbox ends: nothing waits for politeness any more."""
