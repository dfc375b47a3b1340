"""Sealing: how a token is kept so that only the worker can read it.

`keyring` is the file, `on_disk` the file as a running process follows it, `public` the half that
every process may have (it can seal), `private` the half that only worker hosts have (it can open).
Nothing that the API imports reaches `private`; a test of the import graph holds that.
"""
