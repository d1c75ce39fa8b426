"""What Denizen is measured with: one load generator, one yardstick, and rivals on the same work."""
