"""Evaluators: ranking quality and diversity of the recommended lists."""
