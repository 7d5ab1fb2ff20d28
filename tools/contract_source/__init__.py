"""The source of the generated files in ``schemas/``: schemas, catalogue, OpenAPI document and vectors.

``python -m tools.contract_source`` writes the files; run it from the repository's root.

The vectors have their own tables of facts and import nothing from ``schemas``. A slip in the schemas' tables
can therefore not repeat itself in what the schemas are tested with.
"""
