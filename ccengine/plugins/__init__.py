"""Plugins that ship with the engine."""
