"""Business hooks: specifications, deadlines and isolation."""
