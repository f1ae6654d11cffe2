"""One module for each change of the projection's tables."""
