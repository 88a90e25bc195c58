"""The rules that a plugin must keep, as small functions that need no pytest.

A rule is a `check_*` function whose docstring states it; it raises `RuleBroken` with what was observed and how to mend
it. A check may change the source that it is given. May import contracts and weights.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minegan_zoo.conformance import entries, generators, miners, objectives, priors, selectors
from minegan_zoo.conformance.specimen import RuleBroken, build
from minegan_zoo.contracts import GeneratorEntry, MinerEntry, ObjectiveEntry, SelectorEntry

__all__ = [
    "RuleBroken",
    "explain",
    "generator_checks",
    "miner_checks",
    "objective_checks",
    "plugin_checks",
    "selector_checks",
]

PLUGIN_RULES = (entries.check_import_is_light, entries.check_imports)
ENTRY_RULES = (entries.check_metadata, entries.check_tiny, entries.check_state_dict)
SOURCE_RULES = (
    generators.check_inputs,
    generators.check_images,
    generators.check_same_code_same_image,
    generators.check_rows_are_independent,
    generators.check_gradient_reaches_code,
    generators.check_wrong_keys,
    priors.check_prior_shapes,
    priors.check_prior_distribution,
    priors.check_prior_is_seeded,
    priors.check_prior_leaves_global_rng,
    generators.check_groups,
    generators.check_group_names,
    generators.check_frozen_groups_stay,
    generators.check_critic_scores,
    generators.check_critic_groups,
    generators.check_finetuned_psi,
    generators.check_deepcopy_shares_critic,
)
SELECTOR_RULES = (
    selectors.check_proposals,
    selectors.check_weights,
    selectors.check_probabilities,
    selectors.check_state,
)
MINER_RULES = (
    miners.check_miner_codes,
    miners.check_miner_rows,
    miners.check_miner_repeats,
    miners.check_miner_gradient,
    miners.check_miner_sphere,
    miners.check_miner_labels,
    miners.check_miner_state_dict,
)
OBJECTIVE_RULES = (
    objectives.check_losses_are_elementwise,
    objectives.check_losses_have_gradients,
    objectives.check_losses_want_the_right,
    objectives.check_penalty,
)


def plugin_checks(entry_module: str) -> dict[str, Callable[[], None]]:
    """The rules of a plugin's entry module, by name, ready to run."""
    return {rule.__name__: functools.partial(_run, rule, entry_module) for rule in PLUGIN_RULES}


def generator_checks(entry: GeneratorEntry, family: GeneratorEntry) -> dict[str, Callable[[], None]]:
    """The rules of a generator entry that builds without weights, by name, ready to run.

    `family` is the entry that reads the folders in which such sources are saved; often `entry` itself.
    """
    checks: dict[str, Callable[[], None]] = {
        rule.__name__: functools.partial(_run, rule, entry) for rule in ENTRY_RULES
    }
    checks[entries.check_source_folder.__name__] = functools.partial(_run, entries.check_source_folder, entry, family)
    checks |= {rule.__name__: functools.partial(_run_on_source, rule, entry) for rule in SOURCE_RULES}
    return checks


def selector_checks(entry: SelectorEntry) -> dict[str, Callable[[], None]]:
    """The rules of a selector entry, by name, ready to run."""
    return {rule.__name__: functools.partial(_run, rule, entry) for rule in SELECTOR_RULES}


def miner_checks(entry: MinerEntry) -> dict[str, Callable[[], None]]:
    """The rules of a miner entry, by name, ready to run."""
    return {rule.__name__: functools.partial(_run, rule, entry) for rule in MINER_RULES}


def objective_checks(entry: ObjectiveEntry) -> dict[str, Callable[[], None]]:
    """The rules of an objective entry, by name, ready to run."""
    return {rule.__name__: functools.partial(_run, rule, entry) for rule in OBJECTIVE_RULES}


def explain(rule: Callable[..., None]) -> str:
    """What the rule says: the first paragraph of its docstring."""
    return inspect.cleandoc(rule.__doc__ or rule.__name__).split("\n\n")[0]


def _run_on_source(rule: Callable[[Any], None], entry: GeneratorEntry) -> None:
    _run(rule, build(entry))


def _run(rule: Callable[..., None], *subject: Any) -> None:
    """Any failure, also one that the plugin raises itself, carries the rule that it breaks."""
    try:
        rule(*subject)
    except Exception as error:
        error.add_note(f"rule: {explain(rule)}")
        raise
