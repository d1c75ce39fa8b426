"""Bodies of Python actors, in this process.

`runtime` knows the types, `body` takes messages and runs code, `turns` steps coroutines one turn
at a time, `tracking` knows which fields a turn changed, `failures` what a caller may learn of an exception.
"""

from denizen.host.runtimes.python.runtime import PythonRuntime

__all__ = ["PythonRuntime"]
