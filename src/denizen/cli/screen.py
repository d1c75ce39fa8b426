"""How commands talk to people: failures in a panel on a terminal, as plain text in a pipe.

Rich is loaded when there is something to draw with it, not before.
"""

import sys


class Failure(Exception):
    """A command can't go on. The text says what is wrong and what to do; `detail` may be long."""

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.detail = detail.rstrip()


def show_failure(failure: Failure) -> None:
    """Print it to standard error."""
    whole = f"{failure.detail}\n\n{failure.text}" if failure.detail else failure.text
    if not sys.stderr.isatty():
        print(f"denizen: {whole}" if not failure.detail else whole, file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    panel = Panel(Text(whole), title="denizen", title_align="left", border_style="red")
    Console(stderr=True).print(panel)


def tell(line: str) -> None:
    """Print a line of progress to standard error."""
    print(line, file=sys.stderr, flush=True)
