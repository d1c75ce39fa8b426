"""What actors' state is in the store: keys, records, snapshots, and commits in groups.

`layout` builds every key, `batches` turns a commit into a guarded batch, `committer` gathers commits of
all actors into groups, `registry` finds and makes actors, `service` is the `StatePort` of a host.
"""
