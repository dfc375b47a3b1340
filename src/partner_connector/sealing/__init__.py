"""Sealing of tokens, so that only the worker can read them.

`keyring` reads and writes the keyring file. `reloading` reads it again when it was replaced.
`public` holds the public half, which every process may have: it can seal. `private` holds the
private half, which only worker hosts have: it can open. The API imports nothing of `private`; a
test of the import graph enforces that.
"""
