"""The mail endpoint on its own, outside pytest."""
