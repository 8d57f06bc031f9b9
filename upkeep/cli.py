"""The command line `upkeep`."""


def main() -> None:
    """Run the command line."""
    raise SystemExit("not built yet")
