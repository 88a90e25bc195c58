"""Which parameters are trained, when, how fast. The files import contracts and each other only."""

from minegan_zoo.builtin.strategies.minegan import MineGAN, Mining, Scratch, TransferGAN
from minegan_zoo.builtin.strategies.schedule import Schedule
from minegan_zoo.builtin.strategies.sparse import MineGANPlusPlus

__all__ = ["MineGAN", "MineGANPlusPlus", "Mining", "Schedule", "Scratch", "TransferGAN"]
