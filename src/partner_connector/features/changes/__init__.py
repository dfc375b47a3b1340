"""What changed between two checks for updates: a feed to follow. `sync` writes it."""
