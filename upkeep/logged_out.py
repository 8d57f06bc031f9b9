"""What to say when a person's credentials end while a command waits: AWS goes on without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from upkeep.errors import UpkeepError, is_logged_out

LOG_IN = "Log in again (`aws sso login`, or set new ones)"


@contextmanager
def explained(words: Callable[[], str]) -> Iterator[None]:
    """Turn the end of the credentials into a sentence that says what goes on and how to look again.

    Args:
        words: Asked only then; they follow "Your AWS credentials ended".

    Raises:
        UpkeepError: The credentials have ended; every other error is left as it is.
    """
    try:
        yield
    except Exception as error:
        if not is_logged_out(error):
            raise
        raise UpkeepError(f"Your AWS credentials ended {words()}") from error
