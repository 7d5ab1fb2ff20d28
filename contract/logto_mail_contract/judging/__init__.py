"""Judges messages, requests and responses; no I/O."""
