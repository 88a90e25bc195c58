"""Rules of a selector. May import contracts and weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from minegan_zoo.conformance.specimen import RuleBroken, close, module
from minegan_zoo.contracts import Selector, SelectorEntry
from minegan_zoo.weights import load_strict

SIZES = ((1, 4), (3, 1), (3, 16))
"""Numbers of sources and of base noises."""
UPDATES = 3


def check_proposals(entry: SelectorEntry) -> None:
    """A selector proposes at least one source for every base noise, and draws from the generator it is given alone."""
    for count, n in SIZES:
        selector = entry.build(count)
        before = torch.get_rng_state()
        proposed, again = (selector.propose(n, Generator().manual_seed(5)) for _ in range(2))
        if not torch.equal(proposed, again) or not torch.equal(torch.get_rng_state(), before):
            raise RuleBroken("proposals depend on more than the generator", "draw everything from rng")
        if proposed.dtype != torch.bool or proposed.shape != (count, n) or not bool(proposed.any(0).all()):
            observed = f"propose({n}, rng) of {count} sources gives {proposed.dtype} {proposed.tolist()}"
            raise RuleBroken(observed, f"return bool ({count}, {n}) with at least one True in every column")


def check_weights(entry: SelectorEntry) -> None:
    """Columns of a selector's weights are on the simplex, and a pair that was not scored has none."""
    for count, n in SIZES:
        selector, rng = entry.build(count), Generator().manual_seed(0)
        for _ in range(UPDATES):
            _, scores = _observe(selector, n, rng)
            for who, weights in (
                ("critic", selector.critic_weights(scores)),
                ("miner", selector.miner_weights(scores)),
            ):
                _on_simplex(f"{who}_weights(scores)", weights, (count, n))
                if bool((weights[scores == -torch.inf] != 0).any()):
                    raise RuleBroken(f"{who}_weights(scores) weighs pairs that were not scored", "give -inf no weight")


def check_probabilities(entry: SelectorEntry) -> None:
    """A selector's probabilities sum to one, also for each base noise; a source that it has dropped has none."""
    for count, n in SIZES:
        selector, rng = entry.build(count), Generator().manual_seed(0)
        for _ in range(UPDATES):
            u, _ = _observe(selector, n, rng)
            p, given = selector.probabilities(), selector.probabilities_given(u)
            _on_simplex("probabilities()", p, (count,))
            _on_simplex("probabilities_given(u)", given, (count, n))
            _never_chosen(selector, p.bool() | given.bool().any(1) | selector.propose(n, rng).any(1))
        selector.settle(torch.randn(count, selector.settle_draws, generator=rng))
        p = selector.probabilities()
        _on_simplex("probabilities() after settle(scores)", p, (count,))
        _never_chosen(selector, p.bool() | selector.propose(n, rng).any(1))
        kept = (~selector.dropped()).float()
        if selector.share_samples and kept.sum() > 1:
            shares = kept * torch.arange(count)  # the first makes nothing of the target, the last the most
            for parts in (shares / shares.sum(), (shares == shares.max()).float()):  # then it goes on alone
                selector.share(parts)
                p, given = selector.probabilities(), selector.probabilities_given(u)
                _on_simplex("probabilities() after share(shares)", p, (count,))
                _on_simplex("probabilities_given(u) after share(shares)", given, (count, n))
                _never_chosen(selector, p.bool() | given.bool().any(1) | selector.propose(n, rng).any(1))


def _never_chosen(selector: Selector, chosen: Tensor) -> None:
    """Dropped sources are not among the chosen ones, (S,), and one at least is left."""
    gone = selector.dropped()
    if gone.dtype != torch.bool or gone.shape != chosen.shape or bool(gone.all()):
        raise RuleBroken(f"dropped() gives {gone}", f"return bool ({len(chosen)},) and keep at least one source")
    if bool((chosen & gone).any()):
        raise RuleBroken("a dropped source is proposed or has a probability", "never choose it again")


def check_state(entry: SelectorEntry) -> None:
    """What a selector has learned is in its state_dict: a fresh one that loads it goes on in the same way."""
    for count, n in SIZES:
        selector, fresh = entry.build(count), entry.build(count)
        rng = Generator().manual_seed(0)
        for _ in range(UPDATES):
            _observe(selector, n, rng)
        if selector.share_samples and count > 1:
            shares = (~selector.dropped()) * torch.arange(1.0, count + 1)
            selector.share(shares / shares.sum())
        load_strict(module(fresh), module(selector).state_dict(), "a fresh selector")
        rngs = [Generator().manual_seed(1), Generator().manual_seed(1)]
        for _ in range(UPDATES):
            u, _ = _observe(selector, n, rngs[0])
            _observe(fresh, n, rngs[1])
            same = close(fresh.probabilities(), selector.probabilities())
            if not same or not close(fresh.probabilities_given(u), selector.probabilities_given(u)):
                raise RuleBroken("a selector and one that has loaded its state part ways", "keep it all in buffers")


def _observe(selector: Selector, n: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """One miner step as a run does it: base noise (n, 8), and scores (S, n) of what the selector proposed."""
    u = torch.randn(n, 8, generator=rng)
    scores = torch.randn(selector.num_sources, n, generator=rng)
    scores = scores.masked_fill(~selector.propose(n, rng), -torch.inf)
    selector.observe(u, scores)
    return u, scores


def _on_simplex(what: str, columns: Tensor, shape: Sequence[int]) -> None:
    fix = f"return {tuple(shape)}, nothing negative, columns that sum to one"
    if columns.shape != tuple(shape):
        raise RuleBroken(f"{what} has the shape {tuple(columns.shape)}", fix)
    if not bool((columns >= 0).all()) or not close(columns.sum(0), torch.ones(columns.shape[1:])):
        raise RuleBroken(f"{what} gives {columns.tolist()}", fix)
