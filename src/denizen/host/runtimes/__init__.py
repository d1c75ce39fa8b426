"""Where the bodies of actors run. Each runtime speaks the messages of `wire.runtime` and nothing else."""
