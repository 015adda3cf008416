"""Experiments: config -> game, batches, evaluators. One file a task."""
