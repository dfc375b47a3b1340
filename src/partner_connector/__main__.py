"""`python -m partner_connector`."""

from partner_connector.cli import main

main()
