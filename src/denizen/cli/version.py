"""`denizen version`."""

import denizen


def version() -> None:
    """Print the version."""
    print(denizen.__version__)
