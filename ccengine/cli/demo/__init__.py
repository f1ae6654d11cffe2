"""``ccengine demo``: a whole call centre with simulated callers and agents."""
