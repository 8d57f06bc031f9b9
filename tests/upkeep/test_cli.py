import subprocess
import sys
import time

import pytest

from sandbox.lifecycle import SandboxError
from tests.upkeep.fakes import refusal
from upkeep import cli, context
from upkeep.errors import UpkeepError

# Four times what it takes on a quiet machine; a second means that something heavy is loaded again.
HELP_SECONDS = 0.5
HEAVY = ("boto3", "pulumi", "pandas", "duckdb", "typer", "rich", "sandbox.deployer")


@pytest.fixture
def failing(monkeypatch):
    """Let `upkeep status` fail with an error."""

    def fail(error):
        def load(*_arguments):
            raise error

        monkeypatch.setattr(context, "load", load)

    monkeypatch.delenv("UPKEEP_DEBUG", raising=False)
    return fail


def test_help_names_every_command_with_one_line_each(capsys):
    assert cli.run(["--help"]) == 0
    said = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"  {command.name:<10}  {command.help}" in said


def test_no_command_shows_the_help(capsys):
    assert cli.run([]) == 0
    assert "Usage: upkeep COMMAND" in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    code = "import sys; from upkeep.cli import run; run(['--help']); "
    code += f"print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_answers_at_once():
    def measured():
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "upkeep", "--help"], capture_output=True, timeout=30, check=True
        )
        return time.monotonic() - began

    assert min(measured() for _ in range(3)) < HELP_SECONDS


def test_the_version_is_that_of_the_package(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("upkeep 0.")


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_loads_and_shows_its_help(command, capsys):
    assert cli.run([command.name, "--help"]) == 0
    assert f"upkeep {command.name}" in capsys.readouterr().out


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert cli.run(["statsu"]) == 2
    assert "Did you mean 'status'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UpkeepError("Nothing is deployed."), "Error: Nothing is deployed.\n"),
        (SandboxError("No sandbox."), "Error: No sandbox.\n"),
        (
            refusal("Throttled", "slow down", "ListModels"),
            "Error: AWS refused ListModels: Throttled: slow down.\n",
        ),
    ],
)
def test_errors_are_one_paragraph_on_stderr_with_exit_code_1(failing, capsys, error, said):
    failing(error)
    assert cli.run(["status"]) == 1
    assert capsys.readouterr() == ("", said)


def test_a_bug_says_so_without_a_traceback(failing, capsys):
    failing(KeyError("x"))
    assert cli.run(["status"]) == 1
    said = capsys.readouterr().err
    assert "Unexpected KeyError" in said
    assert "UPKEEP_DEBUG=1" in said
    assert "Traceback" not in said


def test_debugging_shows_where_an_error_comes_from(failing, monkeypatch):
    failing(UpkeepError("Nothing is deployed."))
    monkeypatch.setenv("UPKEEP_DEBUG", "1")
    with pytest.raises(UpkeepError):
        cli.run(["status"])


def test_colours_are_left_out_of_a_pipe(capsys):
    cli.run(["--help"])
    assert "\033[" not in capsys.readouterr().out
