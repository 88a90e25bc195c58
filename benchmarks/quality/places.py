"""Which folders the benchmark reads and writes. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results" / "quality" / "zoo-32"
"""Those that the project shows."""


@dataclass(frozen=True)
class Places:
    """Folders; what is not there is made."""

    data: Path
    """Data sets as torchvision lays them out; it fetches what is missing."""
    cache: Path
    """Pretrained sources, by their recipes' hashes."""
    results: Path
    """One JSON a row, the tuning's choice and the page."""
    work: Path
    """Runs under way, and the logs of all."""

    def arguments(self) -> list[str]:
        """As the command line takes them."""
        named = {"--data-root": self.data, "--cache": self.cache, "--results": self.results, "--work": self.work}
        return [str(part) for pair in named.items() for part in pair]
