"""The test kit: a whole system in one process, a body in another, worlds that go wrong.

Shipped, so that authors test their actors with what Denizen is tested with. Nothing imports it.
"""
