"""Partner users: the people and system users of partners who can touch a shared asset."""
