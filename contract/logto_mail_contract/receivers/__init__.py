"""Receivers under test: how they are reached, and the rules for them."""
