"""Public test kit: virtual clock, network emulator, fault helpers."""
