"""The append-only file of facts, its frames, segments and replay."""
