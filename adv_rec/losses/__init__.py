"""Losses: pure functions of arrays, one value an example."""
