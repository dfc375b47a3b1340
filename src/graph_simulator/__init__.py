"""A stand-in for Meta's Graph API over real HTTP, for demos and tests.

It knows one invented world of businesses (see `world.build_world`), answers reads the way
Meta's public material says Meta does, refuses every write, and has a control surface under
`/__simulator__/` that tells its truth and lets a test break things.
"""
