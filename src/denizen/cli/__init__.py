"""The command line: one file a verb, and what verbs share.

Verbs read their options and hand over. What serving needs is imported by who serves, what calling
needs by who calls: a command pays for nothing but itself.
"""
