"""The vectors: labelled messages for the schema of every revision and layer."""
