"""One critic step and one miner step: gradients of a batch, in pieces that fit, over all processes.

May import contracts, batches, draws, method, minegan, optimizers, processes, selection and sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.optim import Adam

from minegan_zoo.batches import TargetBatches
from minegan_zoo.contracts import Batch, MineganError, Regulariser, Stage
from minegan_zoo.draws import Draw, Fakes, Made
from minegan_zoo.method import Method
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.optimizers import parameters_of
from minegan_zoo.processes import Processes
from minegan_zoo.selection import Proposal, Score, propose, run_scores
from minegan_zoo.sources import as_module, frozen

CheckFinite = Callable[[Tensor, Mapping[str, float], Tensor, Tensor], None]
"""(loss, facts, u, images): stops the run where the loss is not finite."""


@dataclass(frozen=True)
class Shown:
    """What a critic step leaves to the miner step after it."""

    proposal: Proposal
    """The batch with the scores that picked its sources."""
    real_scores: Tensor
    """(n,) or (n, patches): of real images, this process's rows filled in."""


@dataclass(frozen=True)
class Steps:
    """The two kinds of step. Every process draws the whole batch from the same numbers and does its own rows."""

    model: MinedGAN
    method: Method
    target: TargetBatches
    processes: Processes
    rng: Generator
    batch: int
    batch_per_device: int | None
    scores: Score
    """The critic, compiled where that is asked for."""
    plain_scores: Score
    """The critic as it is: penalties differentiate it twice, which compiled code does not support."""
    check_finite: CheckFinite

    def critic(self, stage: Stage, step: int, optimizer: Adam, updates: int) -> tuple[dict[str, float], Shown]:
        """Move the critic in step `step` of a stage; after so many `updates` the penalty is due or not.

        Gives what to record, and what the miner step goes on with.
        """
        objective, model, n = self.method.objective, self.model, self.batch
        chosen = self.target.draw(n, self.rng)
        whole = self._draw(stage, step, self.target.labels_of(chosen))
        proposal = propose(model, whole, self.rng, stage.select)
        penalised = updates % objective.penalty_every == 0
        facts = _Sums()
        judged: list[tuple[Tensor, Tensor]] = []  # rows, their real images' scores
        optimizer.zero_grad(set_to_none=True)
        for rows in self._pieces():
            # what the selector shows the critic
            draw, share = whole.part(rows), len(rows) / n
            with self.processes.autocast():
                fakes = self._shown_to_critic(stage, draw, proposal, rows)
                # scores of both, augmented alike
                real, labels = self._augment(self.target.images_of(chosen[rows])), draw.labels
                fake, fake_labels = self._augment(fakes.images), None if labels is None else labels[fakes.row]
                real_scores = self._read(stage, step, real, labels)
                fake_scores = self._read(stage, step, fake, fake_labels)
            losses = _an_image(objective.critic_loss(real_scores[fakes.row], fake_scores))
            loss = (losses * fakes.weight).sum() / n
            judged.append((rows, real_scores.detach()))
            fake_scores = _an_image(fake_scores)
            facts.add("critic_loss", loss)
            facts.add("real_score", real_scores.mean() * share)
            facts.add("fake_score", fake_scores.mean() * share)
            # the penalty, lazily, in full precision
            if penalised:
                penalty = objective.penalty(
                    partial(self._read_plainly, stage, step, fake_labels),
                    real[fakes.row].float(), fake.float(),
                )  # fmt: skip
                if penalty is not None:
                    facts.add("penalty", penalty * share)
                    loss = loss + penalty * (objective.penalty_every * share)
            if stage.critic_regularisers:
                terms = self._terms(stage.critic_regularisers, whole, draw, fakes, fake_scores, fake_labels, share)
                facts.add("critic_regularisers", terms)
                loss = loss + terms
            self.check_finite(loss, facts.values(), draw.u, fakes.images)
            loss.backward()
        self.processes.sum_gradients(parameters_of(optimizer))
        optimizer.step()
        real_scores = torch.zeros(n, *judged[0][1].shape[1:], device=model.device)
        for rows, scores in judged:
            real_scores[rows] = scores
        told, shown = facts.over(self.processes), Shown(proposal, real_scores)
        if self.method.augmentation is None:
            return told, shown
        everywhere = self.processes.sum(_an_image(real_scores).clone())
        self.method.augmentation.update(objective.realness(everywhere, told["fake_score"]))
        own = {f"augmentation_{name}": value for name, value in self.method.augmentation.facts().items()}
        return told | own, shown

    def miner(self, stage: Stage, step: int, optimizer: Adam, shown: Shown | None) -> dict[str, float]:
        """Move what the stage frees of miners, sources and regularisers; the selector learns.

        Where scores picked what the critic was `shown` just before, this is done to the same base noise by the same
        scores: scoring every candidate again, by a critic that is one update further, would cost most of the step.
        """
        model, n = self.model, self.batch
        scored = shown.proposal if shown is not None and shown.proposal.open else None
        if scored is not None:
            proposal = scored
        else:
            drawn = self._draw(stage, step, self.target.labels_alone(n, self.rng))
            proposal = propose(model, drawn, self.rng, stage.select and stage.adversarial)
        whole = proposal.draw
        facts = _Sums()
        optimizer.zero_grad(set_to_none=True)
        for rows in self._pieces():
            # what the selector gives weight to, run with gradient
            draw, share = whole.part(rows), len(rows) / n
            with frozen(self.method.critic), self.processes.autocast():
                if proposal is not scored:
                    self._score(draw, proposal, rows)
                weights = self._weights(proposal, rows, model.selector.miner_weights)
                fakes = model.run(draw, weights, gradient=True)
                labels = None if draw.labels is None else draw.labels[fakes.row]
                fake_scores = torch.zeros(len(fakes.row), device=model.device)
                loss = torch.zeros((), device=model.device)
                if stage.adversarial:
                    fake_scores = self._read(stage, step, self._augment(fakes.images), labels)
                    real_scores = None if shown is None else shown.real_scores[rows][fakes.row]
                    losses = self._miner_losses(fake_scores, real_scores)
                    loss = (losses * fakes.weight).sum() / n
                    fake_scores = _an_image(fake_scores)
                    facts.add("miner_loss", loss)
                if stage.regularisers:
                    terms = self._terms(stage.regularisers, whole, draw, fakes, fake_scores, labels, share)
                    facts.add("regularisers", terms)
                    loss = loss + terms
                self.check_finite(loss, facts.values(), draw.u, fakes.images)
                loss.backward()
            if not proposal.open:
                proposal.scores[:, rows] = run_scores(fakes, fake_scores, weights.shape)
        self.processes.sum_gradients(parameters_of(optimizer))
        optimizer.step()
        if stage.select and stage.adversarial:
            model.selector.observe(whole.u, self.processes.maximum(proposal.scores))
        return facts.over(self.processes)

    def _miner_losses(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """(m,) from the scores of fakes and of the real images that they are paired with, if the critic saw any."""
        objective = self.method.objective
        return _an_image(objective.miner_loss(fake) if real is None else objective.miner_loss_paired(real, fake))

    def _pieces(self) -> Iterator[Tensor]:
        """This process's rows, piece by piece; what a batch moves in the critic's buffers, each piece moves anew."""
        pieces = self.processes.pieces(self.batch, self.batch_per_device)
        for rows in pieces[:-1]:
            with self._critic_as_it_was():
                yield rows
        yield pieces[-1]

    def _shown_to_critic(self, stage: Stage, draw: Draw, proposal: Proposal, rows: Tensor) -> Fakes:
        """What the selector shows the critic; where scores pick it, the very images that were scored."""
        made: dict[int, Made] = {}
        self._score(draw, proposal, rows, made)
        weights = self._weights(proposal, rows, self.model.selector.critic_weights)
        # sources that normalise by batch statistics make other images of the winners alone, as the miner step will
        return self.model.run(draw, weights, gradient=False, made=None if stage.batch_stats else made)

    def _score(self, draw: Draw, proposal: Proposal, rows: Tensor, made: dict[int, Made] | None = None) -> None:
        """Fill in the scores of some rows, where scores pick; however many are scored must not move the critic."""
        if proposal.open:
            with self._critic_as_it_was():
                proposal.scores[:, rows] = self.model.score(self.scores, draw, proposal.pairs[:, rows], made)

    def _weights(self, proposal: Proposal, rows: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        """(sources, m): what to run of some rows. Raises MineganError where `rule` weighs what was not proposed."""
        pairs = proposal.pairs[:, rows]
        if not proposal.open:
            return pairs.to(proposal.draw.u.dtype)
        weights = rule(proposal.scores[:, rows])
        if bool((weights > 0).logical_and(~pairs).any()):
            name = type(self.model.selector).__name__
            raise MineganError(f"the selector {name} gives weight to pairs of source and noise that it did not propose")
        return weights

    @contextmanager
    def _critic_as_it_was(self) -> Iterator[None]:
        """Undo what happens within to the critic's buffers, such as the power iterations of spectral norm.

        They then go on alike in however many pieces and processes a batch is run.
        """
        buffers = list(as_module(self.method.critic).buffers())
        start = [buffer.clone() for buffer in buffers]
        yield
        for buffer, value in zip(buffers, start, strict=True):
            buffer.copy_(value)

    def _draw(self, stage: Stage, step: int, labels: Tensor | None) -> Draw:
        u = torch.randn(self.batch, self.model.noise_dim, generator=self.rng)
        u = self.method.strategy.noise(stage, step, u, self.rng)
        return self.model.draw(self.batch, self.rng, u=u, labels=labels)

    def _read(self, stage: Stage, step: int, images: Tensor, labels: Tensor | None) -> Tensor:
        return self.method.strategy.scores(stage, step, self.scores, images, labels).float()

    def _read_plainly(self, stage: Stage, step: int, labels: Tensor | None, images: Tensor) -> Tensor:
        return _an_image(self.method.strategy.scores(stage, step, self.plain_scores, images, labels))

    def _augment(self, images: Tensor) -> Tensor:
        return images if self.method.augmentation is None else as_module(self.method.augmentation)(images)

    def _terms(
        self,
        regularisers: Sequence[Regulariser],
        whole: Draw,
        draw: Draw,
        fakes: Fakes,
        scores: Tensor,
        labels: Tensor | None,
        share: float,
    ) -> Tensor:
        """What the regularisers add to a loss for some rows, which are `share` of the whole batch."""
        batch = Batch(
            draw.u, fakes.codes, fakes.source, fakes.row, fakes.images, scores, labels, share,
            partial(self.model.mine, whole),
        )  # fmt: skip
        return torch.stack([regulariser(batch).float() for regulariser in regularisers]).sum() * share


def _an_image(values: Tensor) -> Tensor:
    """(n,) of what is (n,) or (n, patches): the mean over an image's patches."""
    return values if values.ndim == 1 else values.flatten(1).mean(1)


class _Sums:
    """Named numbers, added up over the pieces of a batch."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums.get(name, 0) + value.detach().float()

    def values(self) -> dict[str, float]:
        return {name: float(value) for name, value in self._sums.items()}

    def over(self, processes: Processes) -> dict[str, float]:
        """The same, over all processes."""
        totals = processes.sum(torch.stack(list(self._sums.values()))) if self._sums else ()
        return {name: float(total) for name, total in zip(self._sums, totals, strict=True)}
