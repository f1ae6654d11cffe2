"""Alembic's environment and the versions of the projection's tables."""
