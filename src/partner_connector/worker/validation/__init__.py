"""The worker's side of a token's proof: evidence from Meta, checks, and what follows from them."""
