"""Differential privacy: clipped and noisy gradients, accounts, ledger."""
