"""The providers of a run: the default ones, and those the program or the checkpoint names."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from . import paths, urns
from .events import Op, Step
from .interface import Provider
from .run import Plan, ResourceFailedError, Run, guarded
from .state import Resource
from .values import Properties, plain

ProviderFactory = Callable[[], Provider]


class Providers:
    """Makes and configures providers, each once."""

    def __init__(self, run: Run, factories: dict[str, ProviderFactory]) -> None:
        self._run = run
        self._factories = factories
        self._known: dict[str, tuple[str, Provider]] = {}

    def of(self, resource: Resource) -> Provider:
        """Return the provider that made a resource, configured as the checkpoint says.

        Raises:
            ResourceFailedError: the checkpoint has no such provider, or its package is not known.
        """
        return self.find(urns.package_of(resource.type), resource.provider, "")[1]

    def find(self, package: str, reference: str, version: str) -> tuple[str, Provider]:
        """Return reference and provider: the one named (`<URN>::<id>`), or the package's default one.

        Raises:
            ResourceFailedError: there is no such provider, or its configuration is not supported.
        """
        with self._run.planning:
            if not reference:
                return self._default(package, version)
            urn = reference.rpartition("::")[0]
            if urn not in self._known:
                state = self._run.old.get(urn)
                if state is None:
                    raise ResourceFailedError(
                        f"its provider {urn} is neither in the program nor in the checkpoint"
                    )
                self._known[urn] = (f"{urn}::{state.id}", self._configured(package, state.inputs)[0])
            return self._known[urn]

    def _default(self, package: str, version: str) -> tuple[str, Provider]:
        run = self._run
        suffix = f"_{version}" if version else ""
        name = "default" + suffix.translate(str.maketrans(".-+", "___"))
        type_ = urns.PROVIDER_PREFIX + package
        urn = urns.make(run.project.stack, run.project.name, "", type_, name)
        if urn not in run.confirmed:
            run.confirmed[urn] = None
            resource = Resource(urn, type_, custom=True, inputs=dict(run.project.of_package(package)))
            plan = self.plan(resource, run.old.get(urn))
            write = plan.step.op is not Op.SAME and not run.dry_run
            run.checkpoint.put(plan.new, plan.old, write=write)
            run.confirmed[urn] = plan.new
            if plan.step.op is Op.UPDATE:
                run.steps.append(plan.step)
        if urn not in self._known:
            raise ResourceFailedError(f"the provider of package {package} could not be configured")
        return self._known[urn]

    def plan(self, new: Resource, old: Resource | None) -> Plan:
        """Configure a provider that is a resource itself.

        Raises:
            ResourceFailedError: the configuration is not supported, or cannot change to this.
        """
        provider, inputs = self._configured(new.type.removeprefix(urns.PROVIDER_PREFIX), new.inputs)
        changes = {}
        if old is not None:
            changes = {paths.show(path): change for path, change in paths.compare(old.inputs, inputs).items()}
            if old.inputs.get("region") != inputs.get("region"):
                raise ResourceFailedError(
                    f"the region of this stack is {old.inputs.get('region')}; it cannot become "
                    f"{inputs.get('region')}. Take the stack down first"
                )
        new.id = old.id if old is not None else str(uuid.uuid4())
        new.inputs = new.outputs = inputs
        self._known[new.urn] = (f"{new.urn}::{new.id}", provider)
        op = Op.CREATE if old is None else Op.UPDATE if changes else Op.SAME
        return Plan(Step(op, new.urn, new.parent, changes=changes), new, old, None)

    def _configured(self, package: str, inputs: Properties) -> tuple[Provider, Properties]:
        factory = self._factories.get(package)
        if factory is None:
            allowed = ", ".join(sorted(self._factories))
            raise ResourceFailedError(
                f"the package {package!r} is not supported by the sandbox; it has: {allowed}"
            )
        provider = factory()
        config = {key: str(value) for key, value in plain(inputs).items()}
        return provider, guarded(lambda: provider.configure(config))
