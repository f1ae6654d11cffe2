"""Queues, IVR and agents on top of calls."""
