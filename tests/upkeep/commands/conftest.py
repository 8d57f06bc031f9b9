"""Commands run against a stack that is a script: AWS answers come from data, output is what people see."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.upkeep.fakes import FakeClient, FakeContext
from upkeep import cli, context


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        """stdout as JSON; fails when anything else is on it."""
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line against clients: `run(["status"], s3=FakeClient(...))`."""
    monkeypatch.delenv("UPKEEP_STACK", raising=False)
    monkeypatch.delenv("UPKEEP_DEBUG", raising=False)

    def call(argv, outputs=None, **clients):
        there = FakeContext(
            {name.replace("_", "-"): client for name, client in clients.items()}, **(outputs or {})
        )
        monkeypatch.setattr(context, "load", lambda stack=None, port=None: there)
        code = cli.run(argv)
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def operate(monkeypatch, capsys, stand):
    """Run a command line on the stack in memory: `operate("quarantine", "list")`."""
    monkeypatch.delenv("UPKEEP_STACK", raising=False)
    monkeypatch.delenv("UPKEEP_DEBUG", raising=False)
    monkeypatch.setattr(context, "load", lambda stack=None, port=None: stand.context)

    def call(*argv):
        capsys.readouterr()
        code = cli.run([str(word) for word in argv])
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def no_clients():
    """A client that must not be asked anything."""
    return FakeClient()
