"""ccengine: softswitch and contact-centre engine."""

__version__ = "0.1.0"
