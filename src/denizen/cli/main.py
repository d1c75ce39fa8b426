"""The `denizen` command: its verbs and its door."""

import typer

from denizen.cli import call, dev, version

app = typer.Typer(
    name="denizen",
    help="Durable actors, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(dev.dev)
app.command(context_settings={"ignore_unknown_options": True})(call.call)
app.command()(version.version)


def app_main() -> None:
    """What the installed command runs."""
    app()


if __name__ == "__main__":
    app_main()
