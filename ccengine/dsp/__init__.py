"""Codecs, tones and level arithmetic on numpy arrays."""
