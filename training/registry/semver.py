"""Semantic version numbers of models: what the first changed number says about the change.

Major: the interface (the columns a client sends, the target, the rules of data files). Minor: the code, the
estimator, its hyperparameters, the window or the seed. Patch: the data alone.
https://semver.org/spec/v2.0.0.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SEED = "1.0.0"
_FORM = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")

Parts = tuple[int, int, int]


def parse(text: str) -> Parts:
    """The three numbers.

    Raises:
        ValueError: The text is no version.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"version {text!r}: expected three numbers such as {SEED}")
    return int(match[1]), int(match[2]), int(match[3])


def is_version(text: str) -> bool:
    """Whether the text is a version such as 1.2.3."""
    return _FORM.fullmatch(text) is not None


def next_version(previous: str, previous_digests: Mapping[str, str], digests: Mapping[str, str]) -> str:
    """The number after ``previous`` for a model with other digests.

    A digest that was not recorded counts as another one, but for the interface: that is known of all models
    ever registered, and without it nothing says that clients have to change.

    Args:
        previous: The newest number given; ``SEED`` for the first model after the seed.
        previous_digests: Of the model with that number, as ``digests.of`` gives them.
        digests: Of the new model.

    Raises:
        ValueError: ``previous`` is no version.
    """
    major, minor, patch = parse(previous)
    before, after = previous_digests.get("contract"), digests.get("contract")
    if before and after and before != after:
        return f"{major + 1}.0.0"
    if any(
        not previous_digests.get(name) or previous_digests[name] != digests.get(name)
        for name in ("training", "code")
    ):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def after(version: str) -> str:
    """The next number when somebody else has taken this one."""
    major, minor, patch = parse(version)
    return f"{major}.{minor}.{patch + 1}"
