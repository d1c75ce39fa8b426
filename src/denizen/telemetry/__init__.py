"""Structured logs (metrics and traces join them later). Quiet unless something listens."""
