"""What the job was asked to check: its folders and the plan that the Lambda wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.preflight import places
from inference.preflight.recorded import Recorded

CONTAINER_ROOT = "/opt/ml"


class SettingsError(Exception):
    """The job cannot know what to check; this is a failed job and no failed check."""


@dataclass(frozen=True)
class Folders:
    """Where things are.

    Attributes:
        root: ``/opt/ml``; the toolkits of the image read another place from SAGEMAKER_BASE_DIR.
    """

    root: Path

    @property
    def input(self) -> Path:
        """One folder per input of the job."""
        return self._below(places.INPUT)

    @property
    def output(self) -> Path:
        """What is stored in S3 at the end."""
        return self._below(places.OUTPUT)

    @property
    def work(self) -> Path:
        """Everything that is not kept."""
        return self._below(places.WORK)

    @property
    def model(self) -> Path:
        """The challenger, where an endpoint has its model."""
        return self.root / "model"

    @property
    def message(self) -> Path:
        """What becomes the job's ExitMessage."""
        return self.root / "output" / "message"

    def moved(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables whose paths below /opt/ml lead below the root."""
        inside = f"{CONTAINER_ROOT}/"
        return {
            name: f"{self.root}/{value.removeprefix(inside)}" if value.startswith(inside) else value
            for name, value in environment.items()
        }

    def _below(self, path: str) -> Path:
        return self.root / Path(path).relative_to(CONTAINER_ROOT)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two versions.

    Attributes:
        name: What people call it.
        environment: Variables of its container.
    """

    name: str
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The plan of one check; see ``prepare.CheckPlan``.

    Attributes:
        source: ``recorded`` or ``sample``: where the requests come from.
        requests: What to ask.
    """

    model: str
    run_id: str
    job_name: str
    endpoint: str
    source: str
    features: tuple[str, ...]
    max_latency_milliseconds: float
    start_seconds: float
    check_seconds: float
    challenger: Side
    champion: Side | None
    requests: tuple[Recorded, ...]


def load(folder: Path) -> Settings:
    """Read the plan and the requests.

    Args:
        folder: The input ``check``.

    Raises:
        SettingsError: Names the file and what is wrong with it.
    """
    try:
        plan = json.loads((folder / places.PLAN).read_text(encoding="utf-8"))
        lines = (folder / places.REQUESTS).read_text(encoding="utf-8").splitlines()
        if plan["schema"] != places.SCHEMA:
            raise SettingsError(f"{places.PLAN}: found schema {plan['schema']!r}, expected {places.SCHEMA}")
        return _settings(plan, tuple(Recorded.read(line) for line in lines))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"the plan of the check cannot be read: {error!r}") from error


def _settings(plan: Mapping[str, Any], requests: tuple[Recorded, ...]) -> Settings:
    challenger, champion = plan["challenger"], plan["champion"]
    return Settings(
        model=plan["model"],
        run_id=plan["run_id"],
        job_name=plan["job_name"],
        endpoint=plan["endpoint"],
        source=plan["source"],
        features=tuple(plan["features"]),
        max_latency_milliseconds=float(plan["max_latency_milliseconds"]),
        start_seconds=float(plan["start_seconds"]),
        check_seconds=float(plan["check_seconds"]),
        challenger=Side(name=challenger["name"], environment=challenger["environment"]),
        champion=Side(name=champion["name"], environment=champion["environment"]) if champion else None,
        requests=requests,
    )
