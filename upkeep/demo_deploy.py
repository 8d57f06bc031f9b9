"""Applies the Pulumi program to the demo's sandbox, and says what it does just now."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.lifecycle import SandboxInfo
from upkeep import context
from upkeep.demo import Deployed
from upkeep.errors import UpkeepError

_SHOWN = 3


def deploy(info: SandboxInfo, doing: Callable[[str], None]) -> Deployed:
    """Deploy stack `sandbox` as `upkeep up` does.

    Raises:
        UpkeepError: Resources failed; the message says which and why.
    """
    from sandbox.deployer import project
    from sandbox.deployer.events import Event, Op, StepFinished, StepStarted
    from sandbox.deployer.provider.provider import AwsProvider
    from sandbox.deployer.stack import Stack

    session = context.sandbox_session(info)
    loaded = project.load(context.ROOT, context.SANDBOX)
    stack = Stack(loaded, context.checkpoint(info), {"aws": lambda: AwsProvider(session, info.url)})
    running: dict[str, str] = {}
    made: set[str] = set()

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step.custom:
            running[event.step.urn] = event.step.name
        elif isinstance(event, StepFinished) and event.step.custom:
            running.pop(event.step.urn, None)
            if not event.error and event.step.op is not Op.SAME:
                made.add(event.step.urn)
        waiting = list(running.values())
        doing(f"{len(made)} resources made; now {', '.join(waiting[:_SHOWN]) or 'reading the program'}")

    result = stack.up(listen)
    if not result.ok:
        shown = "; ".join(result.failures[:_SHOWN])
        more = len(result.failures) - _SHOWN
        raise UpkeepError(f"The deployment failed: {shown}{f'; and {more} more' if more > 0 else ''}")
    return Deployed(resources=len(made))
