"""The fake mail endpoint of the pytest fixtures."""
