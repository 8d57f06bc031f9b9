"""What a rule is: a function of a request's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Broken = tuple[str, str] | None
"""The (code, message) a request is refused with."""
Params = dict[str, Any]
Rule = Callable[[Params], Broken]
