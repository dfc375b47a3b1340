"""Tokens: handed in, sealed, proven, connected, replaced, disconnected. Never given out."""
