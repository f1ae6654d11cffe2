"""Write the generated parts of the reference anew: ``python docs/generate.py``."""

from __future__ import annotations

from pathlib import Path

from ccengine.config.describe import configuration_markdown
from ccengine.dialplan import standard_steps
from ccengine.dialplan.describe import steps_markdown

REFERENCE = Path(__file__).parent / "reference"
BEGIN = "<!-- generated below by docs/generate.py -->\n"


def parts() -> dict[Path, str]:
    """Return the generated part of each file."""
    return {
        REFERENCE / "dialplan.md": steps_markdown(standard_steps()),
        REFERENCE / "configuration.md": configuration_markdown(),
    }


def rewritten(path: Path, generated: str) -> str:
    """Return the file's text with its generated part replaced."""
    written, _, _ = path.read_text(encoding="utf-8").partition(BEGIN)
    return f"{written}{BEGIN}\n{generated}"


def main() -> None:
    """Write all files."""
    for path, generated in parts().items():
        path.write_text(rewritten(path, generated), encoding="utf-8")


if __name__ == "__main__":
    main()
