"""What the training container hands over: the only place that knows its variables and paths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

# A hyperparameter cannot be left out by a state machine that does not know the value.
NO_PASSPORT = "none"
_FAILURE_FOLDER = "/opt/ml/output"
_REQUIRED = (
    "SM_MODEL_DIR",
    "SM_OUTPUT_DATA_DIR",
    "SM_INPUT_CONFIG_DIR",
    "SM_CHANNEL_DATA",
    "SM_CHANNEL_SPEC",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One training job.

    Attributes:
        model: The model's name, as in its spec.
        run_id: Digest of the data manifest; names the job and the model version.
        data: Folder of the training files, at their paths relative to the manifest's prefix.
        spec: Folder that holds the model's spec.
        champion: Folder that holds the serving model's archive; None for the first model.
        champion_passport: SHA-256 of the passport that model was registered with; '' where nobody registered
            it.
        model_dir: What ends up in ``model.tar.gz``.
        output_dir: What ends up in ``output.tar.gz``.
        checkpoints: Where a job on spot capacity keeps what it has fitted so far; None for other jobs.
    """

    model: str
    run_id: str
    data: Path
    spec: Path
    champion: Path | None
    champion_passport: str = ""
    model_dir: Path
    output_dir: Path
    checkpoints: Path | None = None


def load(environment: Mapping[str, str]) -> Settings:
    """Read the job's settings.

    Raises:
        TrainingError: Names every variable and hyperparameter that is missing.
    """
    missing = [name for name in _REQUIRED if not environment.get(name)]
    if missing:
        raise TrainingError(
            f"not set: {', '.join(missing)}; train.py runs in a SageMaker training container with the "
            f"channels "
            "code, spec and data"
        )
    given = _hyperparameters(Path(environment["SM_INPUT_CONFIG_DIR"]) / "hyperparameters.json")
    missing = [name for name in ("model", "run_id") if not given.get(name)]
    if missing:
        raise TrainingError(
            f"hyperparameters: missing {', '.join(missing)}; found {', '.join(sorted(given))}"
        )
    champion = environment.get("SM_CHANNEL_CHAMPION")
    return Settings(
        model=given["model"],
        run_id=given["run_id"],
        data=Path(environment["SM_CHANNEL_DATA"]),
        spec=Path(environment["SM_CHANNEL_SPEC"]),
        champion=Path(champion) if champion else None,
        champion_passport=_passport(given.get("champion_passport", NO_PASSPORT)),
        model_dir=Path(environment["SM_MODEL_DIR"]),
        output_dir=Path(environment["SM_OUTPUT_DATA_DIR"]),
        checkpoints=_checkpoints(Path(environment["SM_MODEL_DIR"])),
    )


def failure_file(environment: Mapping[str, str]) -> Path:
    """The file whose first 1024 characters become the job's FailureReason.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
    """
    return Path(environment.get("SM_OUTPUT_DIR", _FAILURE_FOLDER)) / "failure"


def _checkpoints(model_dir: Path) -> Path | None:
    """``/opt/ml/checkpoints``: there only for a job with a CheckpointConfig, and named by no variable."""
    folder = model_dir.parent / "checkpoints"
    return folder if folder.is_dir() else None


def _passport(given: str) -> str:
    return "" if given == NO_PASSPORT else given


def _hyperparameters(path: Path) -> dict[str, str]:
    """The hyperparameters as they were sent.

    The SM_HP_ variables went through a JSON decoder, which turns a run id such as 12e4567 into a number.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: not readable as hyperparameters: {error}") from error
    return {name: _unquoted(str(value)) for name, value in values.items()}


def _unquoted(text: str) -> str:
    """The SageMaker SDK sends text as JSON, in quotes; plain API calls do not."""
    if len(text) >= 2 and text[0] == text[-1] == '"':  # an empty JSON string is two quotes
        return str(json.loads(text))
    return text
