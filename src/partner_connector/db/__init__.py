"""The database: engine, transactions, SQL helpers, keyset pages, models."""
