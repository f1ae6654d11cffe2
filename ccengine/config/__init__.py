"""Configuration schema and loader."""

from ccengine.config.change import changed_cold, changed_hot
from ccengine.config.data import data_folder, sample_config
from ccengine.config.loader import Config, check, load_config
from ccengine.config.number import NumberPlan
from ccengine.config.schema import Settings

__all__ = [
    "Config",
    "NumberPlan",
    "Settings",
    "changed_cold",
    "changed_hot",
    "check",
    "data_folder",
    "load_config",
    "sample_config",
]
