"""`python -m nizam.cli` is the same as `nizam`."""

from nizam.cli import main

main()
