"""Which calls of AWS a function can make: found in the code that its handler reaches, by names.

A function or method is reached when its name is written in code that is reached; so too much is found rather
than too little. Modules that are imported late, or by their name as text, count.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from botocore import xform_name

PACKAGES = ("inference", "models", "monitoring", "training")
SERVICES = ("cloudwatch", "dynamodb", "s3", "sagemaker", "sagemaker-runtime", "sns", "sqs", "stepfunctions")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Unit:
    """A function, a method, or what a module or class does when it is made; with the names it mentions."""

    name: str
    names: frozenset[str]
    called: frozenset[str]


def reached(handler: str) -> set[str]:
    """Operations such as ``s3.get_object`` that ``handler`` in a module, and what it reaches, can call."""
    units: dict[str, list[Unit]] = {}
    for module in _modules(handler):
        for unit in _units(module):
            units.setdefault(unit.name, []).append(unit)
    waiting = ["handler", "<module>"]
    seen: set[str] = set()
    called: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for unit in units.get(name, []):
            called |= unit.called
            waiting.extend(unit.names)
    operations = _operations()
    return {operation for name in called for operation in operations.get(name, ())}


@functools.cache
def _operations() -> dict[str, tuple[str, ...]]:
    """The services' operations by the name of the client's method."""
    found: dict[str, list[str]] = {}
    session = botocore.session.get_session()
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            method = xform_name(operation)
            found.setdefault(method, []).append(f"{service}.{method}")
    return {name: tuple(values) for name, values in found.items()}


def _modules(first: str) -> list[str]:
    waiting, seen = [first], []
    while waiting:
        name = waiting.pop()
        if name in seen or not _path(name):
            continue
        seen.append(name)
        waiting.extend(_imports(name))
    return seen


def _path(module: str) -> Path | None:
    if module.partition(".")[0] not in PACKAGES:
        return None
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec and spec.origin else None


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    assert path is not None
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_module(node, alias))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_name(node.value):
            yield node.value


def _is_module(node: ast.ImportFrom, alias: ast.alias) -> bool:
    base = _ROOT / str(node.module).replace(".", "/") / alias.name
    return base.is_dir() or base.with_suffix(".py").is_file()


def _is_name(text: str) -> bool:
    named = re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", text)
    return bool(named) and (_ROOT / f"{text.replace('.', '/')}.py").is_file()


def _units(module: str) -> Iterator[Unit]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)

    def visit(body: list[ast.stmt], name: str) -> Iterator[Unit]:
        plain: list[ast.AST] = []
        for statement in body:
            if isinstance(statement, functions):
                # A special method is called by whoever has the object.
                special = statement.name.startswith("__")
                yield _unit(name if special else statement.name, [statement])
            elif isinstance(statement, ast.ClassDef):
                plain.extend([*statement.decorator_list, *statement.bases])
                yield from visit(statement.body, statement.name)
            elif not isinstance(statement, (ast.Import, ast.ImportFrom)):
                plain.append(statement)
        yield _unit(name, plain)

    return visit(_tree(module).body, "<module>")


def _unit(name: str, nodes: list[ast.AST]) -> Unit:
    every = [node for top in nodes for node in ast.walk(top)]
    names = {node.id for node in every if isinstance(node, ast.Name)}
    attributes = {node.attr for node in every if isinstance(node, ast.Attribute)}
    texts = {node.value for node in every if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return Unit(name, frozenset(names | attributes), frozenset(attributes | {t for t in texts if "_" in t}))
