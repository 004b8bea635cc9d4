"""`python -m bestpolicy` is the command line."""

from bestpolicy.cli import main

main()
