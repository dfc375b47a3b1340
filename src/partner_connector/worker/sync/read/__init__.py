"""Read partners, assets and users from Meta."""
