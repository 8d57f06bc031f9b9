"""Everything that was recorded about one version: decision, evaluation, spec, report, model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.spec import ModelSpec, parse
from training.outputs import OutputError, output_uri, read_document, split_uri
from upkeep.errors import UpkeepError, is_gone
from upkeep.models import Version
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients

EVALUATION, SPEC = "evaluation.json", "spec.json"
REPORT_ENDING = ".html"


@dataclass(frozen=True, kw_only=True)
class Details:
    """One version with what lies in S3 about it.

    Attributes:
        version: The version.
        decision: The judge's record; None when there is none, as of the seed.
        evaluation: What the training job measured; None when it cannot be read.
        spec: The spec it was trained with; None when it cannot be read.
        changed: Whether the decision is not the one that was registered any more; None when that cannot be
            said.
        missing: What could not be read, with the reason.
    """

    version: Version
    decision: Mapping[str, Any] | None
    evaluation: Mapping[str, Any] | None
    spec: ModelSpec | None
    changed: bool | None = None
    missing: tuple[str, ...] = ()

    def metrics(self) -> dict[str, float]:
        """All metrics of the version on its holdout, or the one it was judged by."""
        measured = (self.evaluation or {}).get("challenger") or {}
        found = {name: float(value) for name, value in measured.items() if isinstance(value, int | float)}
        if not found and self.version.score is not None:
            found = {self.version.metric: self.version.score}
        return found

    def champion(self) -> dict[str, float]:
        """The same of what it was compared with."""
        measured = (self.evaluation or {}).get("champion") or {}
        return {name: float(value) for name, value in measured.items() if isinstance(value, int | float)}

    def importance(self) -> list[str]:
        """Features, the one that matters most first; empty when it was not measured."""
        return [str(one["feature"]) for one in (self.evaluation or {}).get("importance") or []]

    def checks(self) -> list[Mapping[str, Any]]:
        """What the gate looked at."""
        return list((self.decision or {}).get("checks") or [])

    def fact(self, name: str) -> str:
        """A property of the package, or a value of the decision."""
        package = self.version.package
        if package is not None and (found := package.fact(name)):
            return found
        return str((self.decision or {}).get(name) or "")

    def digest(self, part: str) -> str:
        """Digest of the contract, the training, the code or the spec."""
        if found := self.fact(f"{part}_digest"):
            return found
        for source in (self.decision, self.evaluation):
            digests = (source or {}).get("digests")
            if isinstance(digests, Mapping) and digests.get(part):
                return str(digests[part])
        return str((self.evaluation or {}).get("spec_digest") or "") if part == "spec" else ""

    def to_json(self) -> dict[str, Any]:
        """The version as `--json` prints it, whole."""
        package = self.version.package
        return {
            **self.version.to_json(),
            "metadata": dict(package.metadata) if package else {},
            "decision": self.decision,
            "decision_unchanged": None if self.changed is None else not self.changed,
            "evaluation": self.evaluation,
            "spec": self.spec.to_dict() if self.spec else None,
            "missing": list(self.missing),
        }


def read(context: Clients, model: ModelOutputs, version: Version) -> Details:
    """Read what S3 holds about a version; what is not there is named and stops nothing."""
    missing: list[str] = []
    body = _decision_body(context, version)
    decision = None if body is None else json.loads(body)
    if decision is None and not version.is_seed:
        missing.append(f"decision: nothing at {_decision_uri(context, version)}")
    known = version.package.fact("decision_sha256") if version.package else ""
    evaluation_uri = str((decision or {}).get("evaluation_uri") or output_uri(version.model_data_url))
    spec = _document(context, model, version.model_data_url, SPEC, missing)
    return Details(
        version=version,
        decision=decision,
        evaluation=_document(context, model, evaluation_uri, EVALUATION, missing),
        spec=parse(spec, version.model_data_url) if spec is not None else None,
        changed=hashlib.sha256(body).hexdigest() != known if body is not None and known else None,
        missing=tuple(missing),
    )


def save_report(context: Clients, version: Version, path: Path) -> Path:
    """Save the HTML report of a version's evaluation.

    Returns:
        Where it is: the path itself, or a file in it when it is a folder.

    Raises:
        UpkeepError: The version has no report, or the report is gone.
    """
    if version.is_seed:
        raise UpkeepError(f"The seed of {version.model} was compared with nothing and has no report.")
    uri = report_uri(context, version)
    body = _read(context, uri)
    if body is None:
        raise UpkeepError(
            f"Version {version.label} of {version.model} has no report: nothing lies at {uri}. Versions that "
            "were registered before reports existed have none."
        )
    target = path / f"{version.model}-{version.label}{REPORT_ENDING}" if path.is_dir() else path
    target.write_bytes(body)
    return target.resolve()


def report_uri(context: Clients, version: Version) -> str:
    """Where the report is, or would be."""
    known = version.package.fact("report_uri") if version.package else ""
    return known or _decision_uri(context, version).removesuffix(".json") + REPORT_ENDING


def card(details: Details) -> str:
    """The model card as Markdown.

    Raises:
        UpkeepError: What it is made from is not there.
    """
    package = details.version.package
    if package is None or details.decision is None or details.spec is None:
        said = "; ".join(details.missing) or "the seed was registered by nobody"
        raise UpkeepError(f"There is no model card of version {details.version.label}: {said}.")
    from training.registry.card import render

    return str(render(package.metadata, details.decision, details.evaluation, details.spec))


def account_of(model: ModelOutputs) -> str:
    """The account a stack lives in, which must own its buckets."""
    return model.release_state_machine_arn.split(":")[4]


def _decision_uri(context: Clients, version: Version) -> str:
    known = version.package.fact("decision_uri") if version.package else ""
    return known or f"s3://{context.outputs.artifacts_bucket}/decisions/{version.model}/{version.run_id}.json"


def _decision_body(context: Clients, version: Version) -> bytes | None:
    return None if version.is_seed else _read(context, _decision_uri(context, version))


def _read(context: Clients, uri: str) -> bytes | None:
    bucket, key = split_uri(uri)
    if bucket != context.outputs.artifacts_bucket:
        raise UpkeepError(f"{uri} is not in the stack's bucket {context.outputs.artifacts_bucket}.")
    s3 = context.client("s3")
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.ClientError as error:
        if is_gone(error):
            return None
        raise
    return body


def _document(
    context: Clients, model: ModelOutputs, uri: str, name: str, missing: list[str]
) -> dict[str, Any] | None:
    bucket, owner = context.outputs.artifacts_bucket, account_of(model)
    try:
        return read_document(context.client("s3"), uri, name, bucket=bucket, owner=owner)
    except OutputError as error:
        missing.append(f"{name.removesuffix('.json')}: {error}")
        return None
