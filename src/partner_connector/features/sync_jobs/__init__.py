"""Checks for updates: asked for, watched and rolled up. What they do is in `sync`."""
