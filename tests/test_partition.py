"""`partition`: base noise divided among the sources, as much for each as it makes of the target."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

import minegan_zoo as mz


@pytest.mark.parametrize(("parts", "kept"), [((0.5, 0.09, 0.41), 3), ((0.92, 0.08, 0.0), 1), ((0.6, 0.02, 0.38), 2)])
def test_sources_that_make_little_of_the_target_are_dropped(parts: tuple[float, ...], kept: int) -> None:
    partition = mz.selectors.create("partition", 3)
    partition.update(torch.randn(3, 200, generator=Generator().manual_seed(0)))
    partition.share(torch.tensor(parts))
    expected = torch.tensor([share * (share >= 0.25 / 3) for share in parts])
    torch.testing.assert_close(partition.probabilities(), expected / expected.sum())
    assert (~partition.dropped()).sum() == kept


def test_partition_sharpens_what_softmax_predicts_and_keeps_it_when_mining_ends() -> None:
    rng = Generator().manual_seed(0)
    directions, handicap = torch.randn(3, 16, generator=rng), torch.tensor([[0.0], [0.0], [6.0]])
    learned, partition = mz.selectors.create("softmax", 3), mz.selectors.create("partition", 3, sharpness=2.0)
    for _ in range(200):
        u = torch.randn(32, 16, generator=rng)
        for selector in (learned, partition):
            selector.observe(u, directions @ u.T - handicap)
    u = torch.randn(4000, 16, generator=rng)
    squared = learned.probabilities_given(u) ** 2
    torch.testing.assert_close(partition.probabilities_given(u), squared / squared.sum(0))
    wins = (directions @ u.T - handicap).argmax(0).bincount(minlength=3) / 4000
    torch.testing.assert_close(partition.probabilities(), wins, atol=0.05, rtol=0)
    before = partition.probabilities()
    partition.settle(torch.empty(3, partition.settle_draws))
    assert torch.equal(partition.probabilities(), before)
    parts = torch.tensor([0.7, 0.27, 0.03])
    partition.share(parts)
    assert partition.dropped().tolist() == [False, False, True]
    parts = torch.tensor([0.7, 0.27, 0]) / 0.97
    torch.testing.assert_close(partition.probabilities(), parts)
    drawn = partition.probabilities_given(u)
    odds = (drawn[0] / drawn[1]) / (squared[0] / squared[1])  # one factor for all u
    torch.testing.assert_close(odds, odds[:1].expand(4000), rtol=1e-2, atol=0)
    assert drawn[2].eq(0).all()
    torch.testing.assert_close(drawn.mean(1), parts, atol=0.02, rtol=0)


def test_partition_gives_sources_their_parts_of_the_target_however_little_u_tells() -> None:
    rng = Generator().manual_seed(0)
    partition = mz.selectors.create("partition", 2)
    u = torch.randn(4000, 16, generator=rng)
    for _ in range(150):
        chance = torch.randn(2, 32, generator=rng)
        partition.observe(torch.randn(32, 16, generator=rng), chance + torch.tensor([[0.75], [0.0]]))
    assert partition.probabilities_given(u)[1].mean() < 0.15
    assert abs(partition.probabilities()[1] - 0.298) < 0.04  # Phi(-0.75 / sqrt(2))
    partition.share(torch.tensor([0.4, 0.6]))
    assert abs(partition.probabilities_given(u)[1].mean() - 0.6) < 0.02


def test_partition_brings_a_network_that_is_sure_to_the_parts_of_the_target_too() -> None:
    rng = Generator().manual_seed(0)
    partition, directions = mz.selectors.create("partition", 3), torch.randn(3, 64, generator=rng)
    for _ in range(2000):
        u = torch.randn(32, 64, generator=rng)
        partition.observe(u, directions @ u.T)
    parts = torch.tensor([0.15, 0.25, 0.6])
    partition.share(parts)
    drawn = partition.probabilities_given(torch.randn(10_000, 64, generator=rng))
    torch.testing.assert_close(drawn.mean(1), parts, atol=0.015, rtol=0)
    assert (drawn.max(0).values > 0.9).float().mean() > 0.8, "the network is not sure"
