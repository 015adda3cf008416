"""Where interactions come from and the prepared format that models read."""
