"""The core's selectors: which source a sample comes from. The files import contracts and each other only."""

from minegan_zoo.builtin.selectors.candidates import Candidates
from minegan_zoo.builtin.selectors.dropping import Dropping
from minegan_zoo.builtin.selectors.fixed import Fixed
from minegan_zoo.builtin.selectors.mixture import Mixture
from minegan_zoo.builtin.selectors.winners import Max, Partition, Softmax

__all__ = ["Candidates", "Dropping", "Fixed", "Max", "Mixture", "Partition", "Softmax"]
