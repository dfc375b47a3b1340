"""Pages for people: a partner's page to hand a token over."""
