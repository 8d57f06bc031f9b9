"""Wording that messages of training, checking and serving share."""

from __future__ import annotations

from models.spec import Feature

# What ModelPackageDescription and ApprovalDescription hold, and no control characters:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
MAX_DESCRIPTION = 1024
_MAX_SHOWN = 60


def shown(value: object) -> str:
    """A value as it appears in messages: quoted, and cut when long."""
    return "nothing" if value is None or value == "" else cut(repr(value))


def cut(text: str, most: int = _MAX_SHOWN) -> str:
    """A text short enough for a message."""
    return text if len(text) <= most else text[: most - 3] + "..."


def description(text: str) -> str:
    """A text as the registry takes it: on one line and not too long."""
    return cut(" ".join(text.split()), MAX_DESCRIPTION)


def allowed(feature: Feature) -> str:
    """What a column takes, in words."""
    if feature.type == "boolean":
        text = "true or false"
    elif feature.type == "category":
        text = "one of " + ", ".join(feature.values) if feature.values else "a text"
    elif feature.min is not None and feature.max is not None:
        text = f"a number from {feature.min:g} to {feature.max:g}"
    elif feature.min is not None:
        text = f"a number of at least {feature.min:g}"
    else:
        text = "a number" if feature.max is None else f"a number of at most {feature.max:g}"
    return text + (" or nothing" if feature.nullable else "")
