"""Rules of a built generator source: images, gradients, groups and its own critic. May import contracts only."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from minegan_zoo.conformance.specimen import RuleBroken, close, draw, module, named, paint, partition, pictures
from minegan_zoo.contracts import Critic, GeneratorSource, MineganError


def check_inputs(source: GeneratorSource) -> None:
    """Key sets in `inputs` use the declared latent spaces and no other; `per_layer_keys` is one of them, or empty."""
    used = frozenset[str]().union(*source.inputs)
    if not source.inputs or used != set(source.latents):
        observed = f"inputs use {named(used)}, latents declare {named(set(source.latents))}"
        raise RuleBroken(observed, "declare each latent space and give it in at least one key set")
    if source.per_layer_keys and source.per_layer_keys not in source.inputs:
        observed = (
            f"per_layer_keys is {named(source.per_layer_keys)}, inputs are {'; '.join(map(named, source.inputs))}"
        )
        raise RuleBroken(observed, "name one of `inputs` as `per_layer_keys`, or none")


def check_images(source: GeneratorSource) -> None:
    """Every key set gives images of the declared shape, float32 and finite, for n = 1 and n = 3."""
    for keys in source.inputs:
        for n in (1, 3):
            with torch.no_grad():
                images = source.synthesize(draw(source, n, keys))
            wanted = (n, source.image.channels, source.image.resolution, source.image.resolution)
            if images.shape != wanted or images.dtype != torch.float32:
                observed = f"{named(keys)} with n={n} gives {tuple(images.shape)}, {images.dtype}"
                raise RuleBroken(observed, f"return float32 images of shape {wanted}, or correct `image`")
            if not images.isfinite().all():
                raise RuleBroken(f"{named(keys)} with n={n} is not finite", "guard the division or root")


def check_same_code_same_image(source: GeneratorSource) -> None:
    """The same code gives the same image, by default."""
    for keys in source.inputs:
        code = draw(source, 2, keys)
        with torch.no_grad():
            if not close(source.synthesize(code), source.synthesize(code)):
                fix = "draw noise once, from a fixed seed, and keep it in a buffer"
                raise RuleBroken(f"{named(keys)}: a second call gives another image", fix)


def check_rows_are_independent(source: GeneratorSource) -> None:
    """Image i depends on row i of the code only."""
    for keys in source.inputs:
        code, others = draw(source, 3, keys), draw(source, 3, keys, seed=1)
        images = paint(source, code)
        for row in range(3):
            mixed = {name: value.clone() for name, value in others.items()}
            for name, value in mixed.items():
                value[row] = code[name][row]
            if not close(paint(source, mixed)[row], images[row]):
                raise RuleBroken(f"{named(keys)}: other rows change image {row}", "use no statistics of the batch")
        if not close(paint(source, {name: value[:2] for name, value in code.items()}), images[:2]):
            raise RuleBroken(f"{named(keys)}: an image depends on n", "use no statistics of the batch")


def check_gradient_reaches_code(source: GeneratorSource) -> None:
    """The gradient of the images reaches every row of every tensor of the code."""
    for keys in source.inputs:
        code = {name: value.detach().requires_grad_() for name, value in draw(source, 2, keys).items()}
        images = source.synthesize(code)
        weights = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)).to(images)
        loss = (images * weights).sum()
        gradients: tuple[Tensor | None, ...] = (None,) * len(code)
        if loss.requires_grad:
            gradients = torch.autograd.grad(loss, list(code.values()), allow_unused=True)
        for name, gradient in zip(code, gradients, strict=True):
            if gradient is None or not gradient.flatten(1).ne(0).any(dim=1).all() or not gradient.isfinite().all():
                state = "no" if gradient is None else "a zero or non-finite"
                raise RuleBroken(
                    f"{named(keys)}: {name!r} gets {state} gradient",
                    "let synthesize() use it, without detach(), no_grad(), rounding or saturation",
                )


def check_wrong_keys(source: GeneratorSource) -> None:
    """Keys that are no member of `inputs` raise MineganError."""
    default = source.inputs[0]
    code = draw(source, 2)
    extra = {**code, "no such space": next(iter(code.values()))}
    fewer = [{name: value for name, value in code.items() if name != left_out} for left_out in default]
    for wrong in (extra, *fewer):
        if frozenset(wrong) in source.inputs:
            continue
        try:
            with torch.no_grad():
                source.synthesize(wrong)
            outcome = "is accepted"
        except MineganError:
            continue
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            outcome = f"raises {type(error).__name__}"
        raise RuleBroken(
            f"a code with the keys {named(set(wrong))} {outcome}",
            "begin synthesize() with: if frozenset(code) not in self.inputs: raise MineganError(...)",
        )


def check_groups(source: GeneratorSource) -> None:
    """groups() is a partition of parameters()."""
    partition(source.groups(), module(source), "generator")


def check_group_names(source: GeneratorSource) -> None:
    """Names of groups, of the source and of its critic, are not empty and hold no slash."""
    critic = source.own_critic()
    names = [*source.groups(), *(critic.groups() if critic else ())]
    wrong = [name for name in names if not name or "/" in name]
    if wrong:
        raise RuleBroken(f"groups are named {wrong}", "use dots: patterns such as 'sources/*/body.*' split at slashes")


def check_frozen_groups_stay(source: GeneratorSource) -> None:
    """With one group frozen, a step of the optimizer leaves it as it was and moves some of the others."""
    groups = source.groups()
    for frozen, held in groups.items():
        free = [parameter for name, members in groups.items() if name != frozen for parameter in members]
        for parameter in module(source).parameters():
            parameter.requires_grad_(any(parameter is other for other in free))
        if not free:
            continue
        held_before = [parameter.detach().clone() for parameter in held]
        free_before = [parameter.detach().clone() for parameter in free]
        optimizer = torch.optim.Adam(free, lr=0.01)
        loss = source.synthesize(_labelled(source, 2)).square().mean()
        if loss.requires_grad:
            torch.autograd.backward(loss)
        optimizer.step()
        if not all(now.equal(before) for now, before in zip(held, held_before, strict=True)):
            fix = "let no two groups share memory, and let nothing in the forward pass change parameters"
            raise RuleBroken(f"{frozen!r} moves although it is frozen", fix)
        if all(now.equal(before) for now, before in zip(free, free_before, strict=True)):
            fix = "let the gradient reach the parameters, whatever is frozen: no detach() or no_grad() in synthesize()"
            raise RuleBroken(f"with {frozen!r} frozen nothing else moves either", fix)


def check_critic_scores(source: GeneratorSource) -> None:
    """own_critic() is always the same Critic, and scores images as its `image` says: (n,), for n = 1 and n = 3."""
    critic = source.own_critic()
    if critic is None:
        return
    if not isinstance(critic, Critic):
        raise RuleBroken(f"own_critic() is a {type(critic).__name__}", "mix contracts.Critic into the discriminator")
    if source.own_critic() is not critic:
        raise RuleBroken("every call builds another critic", "build it once and keep it in contracts.Shared")
    for n in (1, 3):
        with torch.no_grad():
            scores = critic.forward(pictures(critic, n))
        if scores.shape != (n,) or not scores.isfinite().all():
            observed = f"{n} images score {tuple(scores.shape)}, finite: {bool(scores.isfinite().all())}"
            raise RuleBroken(observed, f"return one finite number an image, of shape ({n},)")


def check_critic_groups(source: GeneratorSource) -> None:
    """The groups() of the critic are a partition of its parameters(), and lower_groups the first of them."""
    critic = source.own_critic()
    if critic is None:
        return
    partition(critic.groups(), module(critic), "critic")
    lower, groups = list(critic.lower_groups), list(critic.groups())
    if lower != groups[: len(lower)] or lower == groups:
        fix = "name the first of the groups, in their order, and not all: something has to learn"
        raise RuleBroken(f"lower_groups are {lower}, of {groups}", fix)


def check_finetuned_psi(source: GeneratorSource) -> None:
    """finetuned_psi is a positive number; other than 1, z of another length gives other images."""
    psi = source.finetuned_psi
    if not 0 < psi < math.inf:
        raise RuleBroken(f"finetuned_psi is {psi}", "say how much wider base noise is better drawn, or leave it at 1")
    code = draw(source, 2)
    longer = {name: value * psi if name == "z" else value for name, value in code.items()}
    if psi != 1 and close(paint(source, code), paint(source, longer)):
        raise RuleBroken(f"finetuned_psi is {psi}, and z that much longer gives the same images", "leave it at 1")


def check_deepcopy_shares_critic(source: GeneratorSource) -> None:
    """A deep copy of a source copies the generator and shares its critic."""
    twin = copy.deepcopy(source)
    fix = "keep the discriminator in contracts.Shared, and everything else out of it"
    if twin.own_critic() is not source.own_critic():
        raise RuleBroken("copy.deepcopy(source) copies the critic as well", fix)
    shared = {id(parameter) for parameter in module(source).parameters()}
    if any(id(parameter) in shared for parameter in module(twin).parameters()):
        raise RuleBroken("a deep copy shares parameters with the original", fix)


def _labelled(source: GeneratorSource, n: int) -> dict[str, Tensor]:
    """Codes of the prior; the class comes from labels where there are any, so that its embedding gets a gradient."""
    code = draw(source, n)
    if source.num_classes and "class" in code:
        code["class"] = source.class_codes(torch.zeros(n, dtype=torch.int64, device=code["class"].device))
    return code
