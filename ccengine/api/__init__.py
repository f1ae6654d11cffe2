"""Commands and queries behind CLI and API."""
