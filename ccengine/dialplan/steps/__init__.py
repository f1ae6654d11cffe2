"""The steps that every dialplan knows, one module for each family."""

from ccengine.dialplan.registry import StepRegistry
from ccengine.dialplan.steps import agent, dial, logic, menu, queue, sound

STANDARD = (*sound.STEPS, *menu.STEPS, *logic.STEPS, *queue.STEPS, *dial.STEPS, *agent.STEPS)


def standard_steps() -> StepRegistry:
    """Return a registry of the standard steps, to which others may be added."""
    return StepRegistry(STANDARD)
