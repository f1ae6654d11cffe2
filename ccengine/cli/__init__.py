"""The command line: every command of ``ccengine``."""
