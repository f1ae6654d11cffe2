"""Fixtures for several rooms."""

from __future__ import annotations

import pytest

from ccengine.config.data import sample_config
from ccengine.config.loader import Config, load_config
from ccengine.testing.centre import CallCentre


@pytest.fixture(scope="session")
def sample() -> Config:
    """The sample configuration."""
    return load_config(sample_config())


@pytest.fixture
def centre(sample: Config) -> CallCentre:
    """A call centre of the sample configuration, in virtual time."""
    return CallCentre(sample).open()
