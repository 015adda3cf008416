"""Attacks: functions that find the perturbation which hurts most."""
