"""Partner users: people and system users of partners who have access to a shared asset."""
