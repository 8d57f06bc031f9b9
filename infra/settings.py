"""The stack's configuration: read once, checked whole, passed down as plain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pulumi

from infra.seed import Seed
from models.load import load as load_specs
from models.load import seed_file
from models.spec import ModelSpec, SpecError

Approval = Literal["gate", "manual"]
LambdaDependencies = Literal["bundle", "preinstalled"]

# What PutRetentionPolicy takes:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"


class SettingsError(ValueError):
    """A configuration that cannot be deployed; carries every error found, not only the first."""

    def __init__(self, stack: str, errors: list[str]) -> None:
        self.errors = list(errors)
        noun = "error" if len(errors) == 1 else "errors"
        super().__init__(
            f"{len(errors)} {noun} in the configuration of stack {stack}; nothing was deployed:\n"
            + "\n".join(f"  {e}" for e in errors)
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a stack can choose.

    Attributes:
        stack: Pulumi's stack name.
        specs: The models, with the stack's overrides applied.
        seeds: Per model, what its first version is trained on.
        approval: ``gate`` releases what passes the gate, ``manual`` waits for a person.
        alert_email: Address that gets the alarms; None for nobody.
        log_retention_days: How long logs are kept.
        version_retention_days: How long replaced and deleted objects can be brought back.
        quarantine_retention_days: How long refused files are kept.
        capture_retention_days: How long recorded requests are kept.
        force_destroy: Whether a teardown deletes buckets that hold objects.
        protect: Whether the buckets, the ledger and the encryption key refuse to be deleted.
        lambda_dependencies: ``bundle`` packs them into the functions' archive, ``preinstalled`` does not.
        tags: The provider's default tags, which the state machines put on what they create too.
    """

    stack: str
    specs: Mapping[str, ModelSpec]
    seeds: Mapping[str, Seed]
    approval: Approval = "gate"
    alert_email: str | None = None
    log_retention_days: int = 90
    version_retention_days: int = 90
    quarantine_retention_days: int = 90
    capture_retention_days: int = 90
    force_destroy: bool = False
    protect: bool = False
    lambda_dependencies: LambdaDependencies = "bundle"
    tags: Mapping[str, str]


# Key -> default. Pulumi.yaml declares the same ones with types and descriptions; a test keeps them equal.
DEFAULTS: dict[str, Any] = {
    "models": ["flights"],
    "approval": "gate",
    "alertEmail": "",
    "logRetentionDays": 90,
    "versionRetentionDays": 90,
    "quarantineRetentionDays": 90,
    "captureRetentionDays": 90,
    "forceDestroy": False,
    "protect": False,
    "lambdaDependencies": "bundle",
    "overrides": {},
}


class _Reader:
    """Reads keys one by one and gathers what is wrong with them."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self.errors: list[str] = []

    def error(self, key: str, found: object, allowed: str) -> None:
        self.errors.append(f"upkeep:{key}: found {found!r}, expected {allowed}")

    def _get(self, key: str, getter: Callable[[str], Any], allowed: str) -> Any:
        try:
            found = getter(key)
        except (pulumi.ConfigTypeError, ValueError):
            self.error(key, self._config.get(key), allowed)
            return DEFAULTS.get(key)
        return DEFAULTS.get(key) if found is None else found

    def choice(self, key: str, options: tuple[str, ...]) -> Any:
        found = self._get(key, self._config.get, "text")
        if found not in options:
            self.error(key, found, "one of " + ", ".join(options))
        return found

    def flag(self, key: str) -> bool:
        return bool(self._get(key, self._config.get_bool, "true or false"))

    def days(self, key: str, options: tuple[int, ...] = ()) -> int:
        allowed = "one of " + ", ".join(map(str, options)) if options else "a whole number of days, 1 or more"
        found = self._get(key, self._config.get_int, allowed)
        if found < 1 or (options and found not in options):
            self.error(key, found, allowed)
        return int(found)

    def email(self, key: str) -> str | None:
        found = self._get(key, self._config.get, "an e-mail address")
        if found and not re.fullmatch(_EMAIL, found):
            self.error(key, found, "an e-mail address or nothing")
        return found or None

    def names(self, key: str) -> list[str]:
        allowed = "a list of folder names below models/"
        found = self._get(key, self._config.get_object, allowed)
        if not isinstance(found, list) or not all(isinstance(n, str) for n in found):
            self.error(key, found, allowed)
            return []
        repeated = sorted({n for n in found if found.count(n) > 1})
        if repeated:
            self.error(key, found, f"each model once; repeated: {', '.join(repeated)}")
        return list(dict.fromkeys(found))

    def mapping(self, key: str) -> Mapping[str, Any]:
        allowed = "keys and values, such as flights: {serving: {instance_count: 1}}"
        found = self._get(key, self._config.get_object, allowed)
        if not isinstance(found, Mapping) or not all(isinstance(v, Mapping) for v in found.values()):
            self.error(key, found, allowed)
            return {}
        return found


def _default_tags() -> dict[str, str]:
    """What `aws:defaultTags` of the stack file puts on every resource of the provider."""
    found = pulumi.Config("aws").get_object("defaultTags")
    tags = found.get("tags", {}) if isinstance(found, Mapping) else {}
    return {str(key): str(value) for key, value in sorted(tags.items())}


def load() -> Settings:
    """Read the stack's configuration and the specs of its models.

    Raises:
        SettingsError: Lists all errors, those of the model specs included.
    """
    reader = _Reader(pulumi.Config("upkeep"))
    names, overrides = reader.names("models"), reader.mapping("overrides")
    values: dict[str, Any] = {
        "approval": reader.choice("approval", ("gate", "manual")),
        "alert_email": reader.email("alertEmail"),
        "log_retention_days": reader.days("logRetentionDays", RETENTION_DAYS),
        "version_retention_days": reader.days("versionRetentionDays"),
        "quarantine_retention_days": reader.days("quarantineRetentionDays"),
        "capture_retention_days": reader.days("captureRetentionDays"),
        "force_destroy": reader.flag("forceDestroy"),
        "protect": reader.flag("protect"),
        "lambda_dependencies": reader.choice("lambdaDependencies", ("bundle", "preinstalled")),
    }
    specs: dict[str, ModelSpec] = {}
    try:
        specs = load_specs(names, overrides)
    except SpecError as error:
        reader.errors.extend(error.errors)
    seeds: dict[str, Seed] = {}
    for spec in specs.values():
        try:
            seeds[spec.name] = Seed.read(seed_file(spec.name), spec)
        except SpecError as error:
            reader.errors.extend(error.errors)
    stack = pulumi.get_stack()
    if reader.errors:
        raise SettingsError(stack, reader.errors)
    return Settings(stack=stack, specs=specs, seeds=seeds, tags=_default_tags(), **values)
