"""The rules for receivers."""
