"""`denizen dev`: reads the options and chooses between one process and two."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from denizen.cli import screen


def dev(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE_OR_FILE", help="The actors: a Python file, or a module by its name."
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 7420,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where state is kept.")] = Path(
        ".denizen"
    ),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name the server may be called by; '*' is any."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Another origin whose pages may call; '*' is any."),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Start anew when the code changes.")
    ] = True,
    json_logs: Annotated[bool, typer.Option(help="Log lines as JSON.")] = False,
) -> None:
    """Serve the actors of a module on this machine, and start anew when the code changes."""
    gc.disable()  # it would look through what is being imported, again and again
    from denizen.cli import serving

    gc.freeze()  # code stays: it needn't be looked through later either, nor be copied after a fork
    gc.enable()
    options = serving.DevOptions(
        target=target,
        host=host,
        port=port,
        data=data,
        allowed_hosts=tuple(allow_host or ()),
        allowed_origins=tuple(allow_origin or ()),
        json_logs=json_logs,
        reloads=reload,
    )
    try:
        options.source.check()
        if reload:
            from denizen.cli import supervisor

            raise typer.Exit(supervisor.run(options))
        raise typer.Exit(serving.run(options))
    except screen.Failure as failure:
        screen.show_failure(failure)
        raise typer.Exit(1) from None
