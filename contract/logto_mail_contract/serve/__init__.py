"""The mail endpoint that stands by itself."""
