"""One teardown under way: its clients, what it found, and how it waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from upkeep.context import client
from upkeep.errors import is_gone
from upkeep.outputs import StackOutputs

if TYPE_CHECKING:
    import boto3

Report = Callable[[str], None]


@dataclass
class Sweeper:
    """Makes the calls of a teardown; what is gone already is no error."""

    session: boto3.Session
    outputs: StackOutputs
    report: Report
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    deleted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sagemaker = client(self.session, "sagemaker", self.outputs.region)
        self.states = client(self.session, "stepfunctions", self.outputs.region)
        self.logs = client(self.session, "logs", self.outputs.region)

    def attempt(self, noun: str, call: Callable[..., Any], **arguments: Any) -> bool:
        """Make a deleting call and count it; False when there was nothing to delete any more."""
        if not self.unless_gone(call, **arguments):
            return False
        self.deleted[noun] += 1
        return True

    def unless_gone(self, call: Callable[..., Any], **arguments: Any) -> bool:
        """Make a call; False when what it is about is gone."""
        try:
            call(**arguments)
        except self.sagemaker.exceptions.ClientError as error:
            if not is_gone(error):
                raise
            return False
        return True

    def pages(self, service: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """The items of a listing; none when what they belong to is gone."""
        try:
            for page in service.get_paginator(operation).paginate(**arguments):
                yield from page[key]
        except service.exceptions.ClientError as error:
            if not is_gone(error):
                raise
