"""Senders under test: how they are asked to send, and the rules for them."""
