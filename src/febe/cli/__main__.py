"""`python -m febe.cli` is the command `febe`."""

from febe.cli import main

main()
