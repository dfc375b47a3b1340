"""Workspaces. Only the command line creates and renames them."""
