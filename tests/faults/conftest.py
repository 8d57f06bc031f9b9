"""How many stories are told: few where everybody waits, many where a machine has the night."""

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = int(os.environ.get("UPKEEP_FAULT_EXAMPLES", "0"))

settings.register_profile(
    "faults",
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def told(usual: int) -> settings:
    """The settings of a test that tells so many stories, or as many as UPKEEP_FAULT_EXAMPLES says."""
    return settings(settings.get_profile("faults"), max_examples=EXAMPLES or usual)
