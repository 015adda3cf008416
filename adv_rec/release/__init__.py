"""Releases: a private run, its synthetic table, and what can be said of it."""
