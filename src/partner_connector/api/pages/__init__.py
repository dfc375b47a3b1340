"""Web pages for people: the page on which a partner's admin hands over a token."""
