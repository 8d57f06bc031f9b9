"""Asks for the engine that reads data files, which is installed only where it is wanted."""

from __future__ import annotations

from importlib.util import find_spec

from upkeep.errors import UpkeepError

ENGINE = "duckdb"


def require(what: str) -> None:
    """Say what to install when files cannot be read here.

    Args:
        what: What needs it, as the beginning of a sentence.

    Raises:
        UpkeepError: The engine is not installed.
    """
    try:
        found = find_spec(ENGINE)
    except ValueError:  # how find_spec says that the module is blocked
        found = None
    if found is None:
        raise UpkeepError(f"{what} needs {ENGINE}, which is not installed: `pip install 'upkeep[lambda]'`.")
