"""The outputs of a stack: the one place where the operator's tools learn names and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.deployer import kept
from upkeep.errors import UpkeepError


@dataclass(frozen=True, kw_only=True)
class ModelOutputs:
    """Where one model lives.

    Attributes:
        name: The model's name.
        endpoint: SageMaker endpoint that answers for it.
        package_group: Model registry group of its versions.
        retrain_state_machine_arn: Trains, judges, registers.
        release_state_machine_arn: Puts an approved version behind the endpoint.
        incoming: S3 URI under which pushed files arrive.
        seed_job: Training job of the first model.
    """

    name: str
    endpoint: str
    package_group: str
    retrain_state_machine_arn: str
    release_state_machine_arn: str
    incoming: str
    seed_job: str = ""


@dataclass(frozen=True, kw_only=True)
class StackOutputs:
    """What `pulumi stack output` says about a deployed stack."""

    region: str
    data_bucket: str
    artifacts_bucket: str
    models: dict[str, ModelOutputs]
    alerts_topic_arn: str = ""
    intake_queue_url: str = ""
    intake_dead_letters_url: str = ""
    dispatch_queue_url: str = ""
    dispatch_dead_letters_url: str = ""
    ledger_table: str = ""
    dashboard_name: str = ""
    dashboard_url: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What the names of the stack's resources begin with: `upkeep-<stack>`, or shorter."""
        for name, model in self.models.items():
            if model.endpoint.endswith(f"-{name}"):
                return model.endpoint.removesuffix(f"-{name}")
        return self.data_bucket.rpartition("-data-")[0]

    def model(self, name: str | None) -> ModelOutputs:
        """The named model, or the only one when no name is given.

        Raises:
            UpkeepError: No such model, or a name is needed; the message lists those deployed.
        """
        deployed = ", ".join(sorted(self.models)) or "none"
        if name is None:
            if len(self.models) == 1:
                return next(iter(self.models.values()))
            raise UpkeepError(f"Which model? This stack runs {deployed}; choose one with --model.")
        if name not in self.models:
            raise UpkeepError(f"Model {name!r} is not in this stack; deployed: {deployed}.")
        return self.models[name]


def parse(raw: Mapping[str, Any], stack: str) -> StackOutputs:
    """Read the outputs of a stack.

    Raises:
        UpkeepError: The stack has no outputs yet, or was made by another program.
    """
    if not raw:
        raise UpkeepError(
            f"Stack {stack!r} is not deployed: it has no outputs. Deploy it with `{up(stack)}`."
        )
    missing = [
        key for key in ("region", "data_bucket", "artifacts_bucket", "models") if raw.get(key) in (None, "")
    ]
    if missing:
        raise UpkeepError(
            f"Stack {stack!r} lacks the outputs {', '.join(missing)}; its last deployment did not finish. "
            f"Run `{up(stack)}` again."
        )
    models: dict[str, ModelOutputs] = {}
    known = set(ModelOutputs.__dataclass_fields__) - {"name"}
    for name, entry in dict(raw["models"]).items():
        values = {key: str(entry[key]) for key in known if entry.get(key)}
        try:
            models[name] = ModelOutputs(name=name, **values)
        except TypeError as error:
            raise UpkeepError(
                f"Output models.{name} of stack {stack!r} is incomplete ({error}). Run `{up(stack)}` again."
            ) from error
    names = set(StackOutputs.__dataclass_fields__) - {"models", "raw"}
    return StackOutputs(models=models, raw=raw, **{key: str(raw[key]) for key in names if raw.get(key)})


def from_checkpoint(path: Path) -> dict[str, Any]:
    """The stack's outputs in a checkpoint (Pulumi's deployment JSON, version 3); empty without one.

    Raises:
        UpkeepError: The file, and the copy that is kept of it, cannot be read.
    """
    try:
        document = kept.load(path).document or {}
    except kept.UnreadableError as error:
        raise UpkeepError(f"{path} is not readable as a checkpoint: {error}.") from error
    resources = (document.get("deployment") or {}).get("resources") or []
    for resource in resources:
        if resource.get("type") == "pulumi:pulumi:Stack":
            return dict(resource.get("outputs") or {})
    return {}


def up(stack: str) -> str:
    """The command that deploys a stack."""
    return "upkeep up" if stack == "sandbox" else f"upkeep up --stack {stack}"
