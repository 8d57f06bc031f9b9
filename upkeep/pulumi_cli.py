"""Runs the real `pulumi` for stacks that live in an AWS account."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from upkeep.context import ROOT
from upkeep.errors import UpkeepError

EXPORT_SECONDS = 120
VERBS = {
    "up": ("up",),
    "preview": ("preview",),
    "down": ("destroy",),
    "unprotect": ("state", "unprotect", "--all"),
    "refresh": ("refresh",),
    "outputs": ("stack", "output"),
}


def executable() -> str:
    """Return the path of `pulumi`: the one on PATH, else one that is fetched now.

    Raises:
        UpkeepError: there is none and it cannot be fetched.
    """
    found = shutil.which("pulumi")
    if found is not None:
        return found
    from pulumi.automation import PulumiCommand

    sys.stderr.write("`pulumi` is not on PATH; fetching it into ~/.pulumi ...\n")
    try:
        return PulumiCommand.install().command
    except Exception as error:
        raise UpkeepError(
            f"`pulumi` is not on PATH and could not be fetched ({error}). "
            "Install it: https://www.pulumi.com/docs/install/"
        ) from error


def run(verb: str, stack: str, options: Sequence[str] = ()) -> int:
    """Run a verb on a stack with this terminal and return pulumi's exit code.

    A deployment takes as long as it takes, so there is no timeout; Ctrl-C reaches pulumi, which then ends.

    Raises:
        UpkeepError: `pulumi` is not there.
    """
    command = [executable(), *VERBS[verb], "--stack", stack, "--cwd", str(ROOT), *options]
    return _wait(command, ROOT)


def export(stack: str) -> str:
    """The state of a stack as `pulumi stack export` prints it.

    Raises:
        UpkeepError: `pulumi` is not there, or refused.
    """
    command = [executable(), "stack", "export", "--stack", stack, "--cwd", str(ROOT)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=EXPORT_SECONDS, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise UpkeepError(f"`pulumi stack export --stack {stack}` failed: {said}")
    return done.stdout


def _wait(command: list[str], folder: Path) -> int:
    with subprocess.Popen(command, cwd=folder) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal sent it to pulumi too, which finishes its running operations before it ends.
                continue
