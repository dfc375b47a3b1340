"""Commands of `partner-connector`."""
