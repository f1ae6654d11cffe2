"""Legs, calls, B2BUA and registrations: a softswitch by itself."""
