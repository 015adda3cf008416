"""Models: Flax modules, closed forms and lookups; shapes only."""
