"""Entry point of `python -m partner_connector`."""

from partner_connector.cli.commands import main

main()
