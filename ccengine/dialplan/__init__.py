"""Dialplans in YAML: source positions, schema, interpreter and spoken values."""
