"""Uniform resource names, built and taken apart as Pulumi does.

Form: `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`; source: Pulumi's concept page "Names".
"""

from __future__ import annotations

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """Return the URN of a resource; the types of its parents are part of it, the stack's excepted."""
    qualified = type_
    if parent:
        parents = qualified_type(parent)
        if parents != STACK_TYPE:
            qualified = f"{parents}${type_}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def qualified_type(urn: str) -> str:
    """Return the type with its parents' types, `a$b$c`."""
    return urn.split("::", 3)[2]


def type_of(urn: str) -> str:
    """Return the resource's own type token."""
    return qualified_type(urn).rpartition("$")[2]


def name_of(urn: str) -> str:
    """Return the logical name."""
    return urn.split("::", 3)[3]


def package_of(type_: str) -> str:
    """Return the package of a type token: `aws` of `aws:s3/bucket:Bucket`."""
    return type_.split(":", 1)[0]
