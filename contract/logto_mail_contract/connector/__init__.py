"""Posts messages as Logto's HTTP email connector does."""
