"""The commands of ``mail-contract``: options, output and exit codes."""
