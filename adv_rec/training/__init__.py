"""The one step, the one loop, and what they stand on."""
