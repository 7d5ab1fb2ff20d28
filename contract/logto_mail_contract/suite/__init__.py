"""Runs rules and yields results, for receivers and senders alike."""
