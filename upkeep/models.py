"""The versions of a model: what is registered, what became of each, and which one is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.spec import LOWER_IS_BETTER
from training.ledger.rollouts import RolloutRecord
from upkeep import serving
from upkeep.errors import UpkeepError
from upkeep.outputs import ModelOutputs
from upkeep.render import iso
from upkeep.runs import Clients
from upkeep.serving import SEED_LABEL, SEED_VERSION, Package, Serving

LIVE, EXPERIMENT, RELEASING, TRIED = "live", "experiment", "releasing", "tried"
APPROVED, PENDING, SUPERSEDED = "approved", "pending", "superseded"
REFUSED, REJECTED, ROLLED_BACK, FAILED = "refused", "rejected", "rolled back", "failed"
SEED, PREVIOUS = "seed", "previous"
RELEASE = "release"
# The release function's words for how a release went wrong, and ours.
TAKEN_BACK = {"rolled_back": ROLLED_BACK, "failed": FAILED, "refused": REFUSED}
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a model.

    Attributes:
        model: The model's name.
        number: Its package number; 0 for the seed.
        label: `1.2.3`, or `v7` when it was registered without one.
        run_id: The run that made it.
        state: live, experiment, releasing, approved, pending, tried (in an experiment that is over),
            superseded, refused, rejected, rolled back or failed.
        package: What the registry holds; None for the seed, which Pulumi made.
        model_data_url: Its artefact.
        share: Its share of the traffic.
        since: When it was registered.
    """

    model: str
    number: int
    label: str
    run_id: str
    state: str
    package: Package | None
    model_data_url: str
    share: float = 0.0
    since: datetime | None = None

    @property
    def is_seed(self) -> bool:
        """Whether it is the model that the stack began with."""
        return self.package is None

    @property
    def words(self) -> str:
        """The version in a sentence."""
        return f"the seed ({self.label})" if self.package is None else self.package.words

    @property
    def metric(self) -> str:
        """The metric it was judged by."""
        return self.fact("metric")

    @property
    def score(self) -> float | None:
        """Its value of the metric."""
        return _number(self.fact("challenger"))

    @property
    def gain(self) -> float | None:
        """How much better it was than what served then; above 0 is better, whatever the metric."""
        if (gain := _number(self.fact("gain"))) is not None:
            return gain
        champion = _number(self.fact("champion"))
        if self.score is None or champion is None:
            return None
        return champion - self.score if self.metric in LOWER_IS_BETTER else self.score - champion

    @property
    def rows(self) -> int | None:
        """How many rows it was trained and judged on."""
        rows = _number(self.fact("rows"))
        return None if rows is None else int(rows)

    @property
    def reason(self) -> str:
        """Why it is in its state, as far as somebody has said so."""
        if self.package is None:
            return ""
        noted = self.package.release in TAKEN_BACK or self.state == TRIED
        if noted and (said := self.package.fact("release_reason")):
            return said.removeprefix(f"{self.state}: ")
        return self.package.note or self.fact("reason")

    def to_json(self) -> dict[str, Any]:
        """The version as `--json` prints it."""
        package = self.package
        return {
            "model": self.model,
            "version": self.label,
            "number": self.number,
            "run_id": self.run_id,
            "state": self.state,
            "live": self.state == LIVE,
            "traffic": round(self.share, 4),
            "metric": self.metric or None,
            "score": self.score,
            "gain": self.gain,
            "rows": self.rows,
            "at": iso(self.since),
            "reason": self.reason or None,
            "approval": package.approval if package else None,
            "approver": package.fact("approver") or None if package else None,
            "model_data_url": self.model_data_url,
            "arn": package.arn if package else None,
        }

    def fact(self, name: str) -> str:
        """One of its package's properties; empty when it has none."""
        return "" if self.package is None else self.package.fact(name)


@dataclass(frozen=True, kw_only=True)
class Registry:
    """All that is known about a model's versions at one moment.

    Attributes:
        model: Where the model lives.
        versions: Newest first; the seed is the last.
        serving: What the endpoint serves.
        rollout: What the last rollout has noted; None when there was none.
    """

    model: ModelOutputs
    versions: tuple[Version, ...]
    serving: Serving
    rollout: RolloutRecord | None = None

    @property
    def live(self) -> Version | None:
        """What serves; None when that is nothing the registry knows."""
        return next((one for one in self.versions if one.state == LIVE), None)

    @property
    def previous(self) -> Version | None:
        """What served before, which is what a rollback goes back to; None when there is no such version.

        During a rollout that is what serves now, or goes on serving if the rollout is stopped; during an
        experiment what another version is tried beside.
        """
        noted = self.rollout
        if noted is not None and (noted.experiment or noted.operation.startswith(EXPERIMENT)):
            return self.live or self.seed
        if noted is not None and noted.owner and noted.operation == RELEASE:
            return self.of_package(noted.serving_package) if noted.config else self.live or self.seed
        return next(iter(self.targets), None)

    @property
    def targets(self) -> list[Version]:
        """What a rollback may go back to, the one that served last first."""
        noted, seed = self.rollout, self.seed
        if noted is not None and noted.config:
            wanted = [noted.previous_package] if noted.previous_config else []
            wanted += [one.package_arn for one in noted.history if one.sound]
            found = [*map(self.of_package, wanted), seed]
        else:
            replaced = [one for one in self.versions if one.package and one.state == SUPERSEDED]
            replaced.sort(
                key=lambda one: one.package.fact("released_at") if one.package else "", reverse=True
            )
            found = [*replaced, seed]
        # One that was tried counts where the rollouts know that it has served before.
        unique = {one.number: one for one in found if one is not None and one.state in (SUPERSEDED, TRIED)}
        return list(unique.values())

    @property
    def seed(self) -> Version | None:
        """The model the stack began with."""
        return next((one for one in self.versions if one.is_seed), None)

    def of_package(self, arn: str) -> Version | None:
        """The version of a package; the seed for none."""
        if not arn:
            return self.seed
        return next((one for one in self.versions if one.package and one.package.arn == arn), None)

    def find(self, wanted: str) -> Version:
        """The version that is meant.

        Args:
            wanted: `1.2.3`, a package number, how a run id begins, `live`, `previous` or `seed`.

        Raises:
            UpkeepError: None or several are; the message lists what there is.
        """
        named = {LIVE: self.live, PREVIOUS: self.previous, SEED: self.seed}
        if wanted in named:
            found = named[wanted]
            if found is None:
                raise UpkeepError(f"Model {self.model.name} has no {wanted} version. {self.known()}")
            return found
        matches = self._matches(wanted)
        if len(matches) == 1:
            return matches[0]
        if matches:
            those = ", ".join(f"{one.number} ({one.run_id[:8]}, {one.state})" for one in matches)
            raise UpkeepError(
                f"Version {wanted!r} of {self.model.name} is ambiguous: {those}. Say which by its number."
            )
        raise UpkeepError(f"Model {self.model.name} has no version {wanted!r}. {self.known()}")

    def known(self) -> str:
        """What there is, for a message."""
        shown = [f"{one.label} (number {one.number}, {one.state})" for one in self.versions[:_SHOWN]]
        more = len(self.versions) - len(shown)
        return f"There is {', '.join(shown) or 'none'}{f', and {more} more' if more > 0 else ''}."

    def _matches(self, wanted: str) -> list[Version]:
        """By number first, then by version, then by run: what is written in one way is meant in that way."""
        plain = wanted.removeprefix("v")
        if plain.isdecimal():
            numbered = [one for one in self.versions if one.number == int(plain)]
            if numbered or wanted != plain:
                return numbered
        labelled = [one for one in self.versions if one.label == plain]
        return labelled or [one for one in self.versions if wanted and one.run_id.startswith(wanted)]


def read(context: Clients, model: ModelOutputs, rollout: RolloutRecord | None, limit: int = 50) -> Registry:
    """Ask the registry and the endpoint about a model's newest versions."""
    packages = serving.list_packages(context, model, limit)
    now = serving.read_serving(context, model, packages)
    versions = [_version(model, package, now, rollout) for package in packages]
    return Registry(
        model=model, versions=(*_marked(versions), _seed(context, model, now)), serving=now, rollout=rollout
    )


def state_of(package: Package, now: Serving, rollout: RolloutRecord | None = None) -> str:
    """What became of a package; what the endpoint serves counts more than what anybody has noted."""
    if package.model_data_url in now.urls:
        return LIVE if package.model_data_url == now.model_data_url else EXPERIMENT
    if rollout is not None and rollout.owner and rollout.package_arn == package.arn:
        return RELEASING
    if package.release in TAKEN_BACK:
        return TAKEN_BACK[package.release]
    if package.release in (SUPERSEDED, LIVE):
        return SUPERSEDED
    if package.release == EXPERIMENT:
        return TRIED
    if package.approval == "Approved":
        return APPROVED
    if package.approval == "PendingManualApproval":
        return PENDING
    if package.fact("decision") == "refuse":
        return REFUSED
    # Upkeep's older versions noted only in the registry that a release had failed.
    return REJECTED if package.fact("approver") else FAILED


def _version(model: ModelOutputs, package: Package, now: Serving, rollout: RolloutRecord | None) -> Version:
    return Version(
        model=model.name,
        number=package.version,
        label=package.label,
        run_id=package.run_id or serving.run_of(package.model_data_url, model.endpoint),
        state=state_of(package, now, rollout),
        package=package,
        model_data_url=package.model_data_url,
        share=now.urls.get(package.model_data_url, 0.0),
        since=package.created,
    )


def _marked(versions: Sequence[Version]) -> list[Version]:
    """Only one version is live, though two packages may hold the same artefact: the newer one."""
    marked, seen = [], False
    for one in versions:
        again = one.state == LIVE and seen
        seen = seen or one.state == LIVE
        marked.append(replace(one, state=SUPERSEDED, share=0.0) if again else one)
    return marked


def _seed(context: Clients, model: ModelOutputs, now: Serving) -> Version:
    bucket = context.outputs.artifacts_bucket
    url = f"s3://{bucket}/training/{model.name}/{model.seed_job}/output/model.tar.gz"
    served = now.urls.get(url)
    live = served is not None and now.model_data_url == url
    state = LIVE if live else EXPERIMENT if served is not None else SUPERSEDED
    return Version(
        model=model.name,
        number=SEED_VERSION,
        label=SEED_LABEL,
        run_id=model.seed_job.removeprefix(f"{model.endpoint}-") or SEED,
        state=state,
        package=None,
        model_data_url=url,
        share=served or 0.0,
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
