"""`python -m upkeep` is `upkeep`."""

from upkeep.cli import main

main()
