"""Token validation: evidence from Meta, checks, verdict, and changes that follow from it."""
