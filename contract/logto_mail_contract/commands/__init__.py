"""The commands of ``mail-contract``: options, words and exit codes."""
