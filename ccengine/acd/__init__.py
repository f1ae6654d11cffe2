"""Automatic call distribution: queues, agents and offers, sans-IO."""
