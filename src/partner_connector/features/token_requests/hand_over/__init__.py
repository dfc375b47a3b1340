"""Hand-over: the operations of a token request that the partner's admin uses."""
