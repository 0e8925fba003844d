"""`python -m adhere`: the command line where no `adhere` script is on the path."""

from adhere.app.cli import main

main()
