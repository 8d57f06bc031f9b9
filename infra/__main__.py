"""Builds the stack and exports its outputs; everything else is in stack.py."""

import dataclasses

import pulumi

from infra.stack import build

stack = build()
for field in dataclasses.fields(stack):
    pulumi.export(field.name, getattr(stack, field.name))
