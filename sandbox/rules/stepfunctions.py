"""Rules of Step Functions.

Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox import asl
from sandbox.rules.rule import Broken, Params, Rule


def _definition(params: Params) -> Broken:
    if params.get("definition") is None:  # an update may leave it as it is
        return None
    found = asl.problems(str(params["definition"]))
    return ("InvalidDefinition", f"Invalid State Machine Definition: '{', '.join(found)}'") if found else None


RULES: Mapping[str, Rule] = {
    "CreateStateMachine": _definition,
    "UpdateStateMachine": _definition,
}
