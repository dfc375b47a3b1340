"""Reads from Meta that validation and checks for updates share."""
