"""Configuration schema and loader."""
