"""Reads from Meta that token validations and sync jobs share."""
