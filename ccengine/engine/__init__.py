"""Builds every room, owns start, drain and stop."""
