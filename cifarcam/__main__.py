"""``python -m cifarcam`` is the command line."""

from cifarcam.cli import main

main()
