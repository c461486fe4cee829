"""Alembic's environment and the versions of the store's form, one module each."""
