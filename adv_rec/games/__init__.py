"""Games: models + losses + attacks -> players."""
