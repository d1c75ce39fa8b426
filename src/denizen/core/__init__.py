"""Words that every room uses. No I/O lives here, and nothing of ours is imported.

Time, randomness and ids come from `clock` and `entropy` and from nowhere else in the project:
that one rule is what lets the simulator hold the whole system. Numbers that bound something
are in `limits`; what can go wrong is in `errors`, with its code, its status and its sentence.
"""
