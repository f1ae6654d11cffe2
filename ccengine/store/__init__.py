"""Database projections of the journal."""
