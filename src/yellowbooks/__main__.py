"""`python -m yellowbooks`."""

from yellowbooks.cli import main

main()
