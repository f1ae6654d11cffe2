"""Configuration schema and loader."""

from ccengine.config.loader import Config, check, load_config
from ccengine.config.number import NumberPlan
from ccengine.config.schema import Settings

__all__ = ["Config", "NumberPlan", "Settings", "check", "load_config"]
