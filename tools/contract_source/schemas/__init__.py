"""The message schemas of every revision and layer, the catalogue and the OpenAPI document."""
