"""Discover plugins, check them, collect their entries, look names up and explain failures.

One registry a kind; nothing is loaded before the first look-up, and looking names up loads no torch. May import
contracts and options only.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pluggy

from minegan_zoo import contracts
from minegan_zoo.contracts import ENTRY_POINT_GROUP, Card, ImageSpec, LatentSpace, MineganError
from minegan_zoo.options import Option, check_options, options_of

Entry = TypeVar("Entry")

KINDS: dict[str, type[Any]] = {
    "generators": contracts.GeneratorEntry,
    "miners": contracts.MinerEntry,
    "critics": contracts.CriticEntry,
    "selectors": contracts.SelectorEntry,
    "objectives": contracts.ObjectiveEntry,
    "augmentations": contracts.AugmentationEntry,
    "strategies": contracts.StrategyEntry,
    "regularisers": contracts.RegulariserEntry,
}
PUBLISHED = {
    "minegan-zoo-biggan": "biggan biggan-deep",
    "minegan-zoo-progan": "progan",
    "minegan-zoo-stylegan": "stylegan stylegan2 stylegan3",
    "minegan-zoo-miners": "residual affine w wplus layerwise noise flow gaussian-mixture labelled",
    "minegan-zoo-transfer": "scale-shift bsa freezed l2sp ewc cdc adam-fsig genda",
}
"""Packages that this project publishes -> the names that come with them."""


@dataclass(frozen=True)
class Plugin:
    """One discovered plugin; `error` says why none of its entries are there."""

    name: str
    module: str
    distribution: str
    version: str
    entries: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Info:
    """What is known of an entry without building it."""

    name: str
    summary: str
    plugin: str
    package: str
    version: str
    image: ImageSpec | None
    latents: Mapping[str, LatentSpace] | None
    options: tuple[Option, ...]
    card: Card | None
    description: str = ""
    """The builder's docstring: what it is, what its options mean, when to use it."""


@dataclass(frozen=True)
class Catalogue:
    """Everything that is registered: kind -> name -> (entry, plugin)."""

    plugins: tuple[Plugin, ...]
    entries: Mapping[str, Mapping[str, tuple[Any, Plugin]]]


class Registry(Generic[Entry]):
    """The entries of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.noun = KINDS[kind].__name__.removesuffix("Entry").lower()

    def list(self, pattern: str = "*") -> list[str]:
        """Sorted names that match a shell-style pattern."""
        return sorted(fnmatch.filter(catalogue().entries[self.kind], pattern))

    def info(self, name: str) -> Info:
        """What is known of `name`; MineganError where nobody registered it."""
        entry, plugin = self._find(name)
        is_generator = isinstance(entry, contracts.GeneratorEntry)
        card = entry.card if is_generator else None
        return Info(
            name=name,
            summary=card.summary if card else (entry.build.__doc__ or "").strip().split("\n")[0],
            plugin=plugin.name,
            package=plugin.distribution,
            version=plugin.version,
            image=entry.image if is_generator else None,
            latents=entry.latents if is_generator else None,
            options=options_of(entry.build),
            card=card,
            description=inspect.cleandoc(entry.build.__doc__ or "") if inspect.isfunction(entry.build) else "",
        )

    def entry(self, name: str) -> Entry:
        """The entry as its plugin registered it."""
        return self._find(name)[0]  # type: ignore[no-any-return]

    def check(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """`options` converted to the types that the builder of `name` declares."""
        return check_options(self._find(name)[0].build, options, f"{self.noun} {name!r}")

    def create(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Build `name`: the builder's positional arguments (see the entry classes in contracts), then its options."""
        entry, _ = self._find(name)
        checked = self.check(name, options)
        if self.kind != "generators":
            return entry.build(*arguments, **checked)
        weights = arguments[0] if arguments else None
        source = entry.build(None if weights is None else Path(weights), **checked)
        source.loaded_from = contracts.LoadedFrom(name, None if weights is None else str(weights), checked)
        return source

    def _find(self, name: str) -> tuple[Any, Plugin]:
        known = catalogue().entries[self.kind]
        if name in known:
            return known[name]
        raise MineganError(" ".join(_explain(self.noun, name, list(known))))


def _explain(noun: str, name: str, known: Sequence[str]) -> Iterator[str]:
    yield f"unknown {noun} {name!r}."
    if Path(name).exists():
        yield f"It is a path: minegan-zoo inspect says what is there, and a checkpoint is taken as FAMILY={name}."
        return
    if close := difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5):
        yield f"Did you mean {' or '.join(map(repr, close))}?"
    else:
        yield f"Known: {', '.join(sorted(known)) or 'none'}."
    family = name.split(".")[0]
    for package, names in PUBLISHED.items():
        if family in names.split() and family not in known:
            yield f"{family!r} comes with the package {package}: pip install {package}."
    for plugin in catalogue().plugins:
        if plugin.error:
            yield _failure(plugin)


generators: Registry[contracts.GeneratorEntry] = Registry("generators")
miners: Registry[contracts.MinerEntry] = Registry("miners")
critics: Registry[contracts.CriticEntry] = Registry("critics")
selectors: Registry[contracts.SelectorEntry] = Registry("selectors")
objectives: Registry[contracts.ObjectiveEntry] = Registry("objectives")
augmentations: Registry[contracts.AugmentationEntry] = Registry("augmentations")
strategies: Registry[contracts.StrategyEntry] = Registry("strategies")
regularisers: Registry[contracts.RegulariserEntry] = Registry("regularisers")


def plugins() -> tuple[Plugin, ...]:
    """Every plugin that was found, the core first, then by name; those that failed carry an `error`."""
    return catalogue().plugins


@functools.cache
def catalogue() -> Catalogue:
    """Load all plugins, once. Each is loaded into scratch and committed whole, or left out whole with its reason."""
    entries: dict[str, dict[str, tuple[Any, Plugin]]] = {kind: {} for kind in KINDS}
    loaded = []
    for plugin, load in _discover():
        try:
            collected = _collect(load(), plugin, entries)
        except (Exception, SystemExit) as error:  # whatever a foreign module does, the others must still load
            reason = str(error) if isinstance(error, MineganError) else f"{type(error).__name__}: {error}"
            failed = replace(plugin, error=reason.strip().rstrip(".:"))
            if os.environ.get("MINEGAN_ZOO_STRICT") == "1":
                raise MineganError(_failure(failed)) from error
            loaded.append(failed)
            continue
        plugin = replace(plugin, entries=tuple(f"{kind}/{entry.name}" for kind, entry in collected))
        loaded.append(plugin)
        for kind, entry in collected:
            entries[kind][entry.name] = (entry, plugin)
    return Catalogue(tuple(loaded), entries)


def _failure(plugin: Plugin) -> str:
    return f"The plugin {plugin.name!r} ({plugin.distribution}) failed to load: {plugin.error}."


def _discover() -> Iterator[tuple[Plugin, Callable[[], ModuleType]]]:
    core = Plugin("core", "minegan_zoo.catalog", "minegan-zoo", metadata.version("minegan-zoo"))
    yield core, lambda: importlib.import_module("minegan_zoo.catalog")
    for point in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, point.value)):
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        yield Plugin(point.name, point.value, distribution, version), point.load


def _collect(
    module: ModuleType, plugin: Plugin, taken: Mapping[str, Mapping[str, tuple[Any, Plugin]]]
) -> list[tuple[str, Any]]:
    """Run one plugin's hooks into a list of (kind, entry); MineganError where it breaks a rule."""
    api = vars(module).get("MINEGAN_ZOO_API")
    if api != contracts.API:
        wanted = f"MINEGAN_ZOO_API = {api!r}" if "MINEGAN_ZOO_API" in vars(module) else "no MINEGAN_ZOO_API"
        raise MineganError(
            f"it declares {wanted}, this minegan-zoo supports {contracts.API}: "
            f"{'upgrade minegan-zoo' if isinstance(api, int) and api > contracts.API else 'upgrade the plugin'}"
        )
    manager = pluggy.PluginManager(ENTRY_POINT_GROUP)
    manager.add_hookspecs(contracts)
    manager.register(module, plugin.name)
    _check_hooks(module, manager)

    collected: list[tuple[str, Any]] = []

    def register(kind: str, entry: Any) -> None:
        if not isinstance(entry, KINDS[kind]):
            raise MineganError(f"register_{kind} got a {type(entry).__name__}, not a {KINDS[kind].__name__}")
        _check_entry(entry, kind)
        if entry.name in taken[kind]:
            owner = taken[kind][entry.name][1]
            raise MineganError(
                f"it registers the {kind} name {entry.name!r}, which the plugin {owner.name!r} ({owner.distribution}) "
                f"has registered already: one of the two must rename it or be uninstalled"
            )
        if (kind, entry.name) in [(other_kind, other.name) for other_kind, other in collected]:
            raise MineganError(f"it registers the {kind} name {entry.name!r} twice")
        collected.append((kind, entry))

    for kind in KINDS:
        hook = getattr(manager.hook, f"register_{kind}")
        hook(register=functools.partial(register, kind))
    return collected


def _check_entry(entry: Any, kind: str) -> None:
    """Whatever a listing will ask of the entry must work: its name, and its options by the builder's signature."""
    if not isinstance(entry.name, str) or not entry.name:
        raise MineganError(f"register_{kind} got an entry whose name is {entry.name!r}, not a text")
    if not callable(entry.build):
        raise MineganError(f"the build of {entry.name!r} in {kind} is {entry.build!r}, which is not callable")
    try:
        options = options_of(entry.build)
    except Exception as error:  # annotations are foreign code
        raise MineganError(f"the options of {entry.name!r} in {kind} cannot be read: {error}") from error
    for option in options:
        if option.default is inspect.Parameter.empty:
            raise MineganError(f"the option {option.name!r} of {entry.name!r} in {kind} has no default")


def _check_hooks(module: ModuleType, manager: pluggy.PluginManager) -> None:
    hooks = [f"register_{kind}" for kind in KINDS]
    registered = {caller.name for caller in manager.get_hookcallers(manager.get_plugins().pop()) or []}
    for name, value in vars(module).items():
        marked = callable(value) and manager.parse_hookimpl_opts(module, name) is not None
        if marked and name not in hooks:
            close = difflib.get_close_matches(name, hooks, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise MineganError(f"it implements an unknown hook {name!r}{hint}; the hooks are {', '.join(hooks)}")
        is_spec = vars(contracts).get(name) is value  # as after `from minegan_zoo.contracts import *`
        if name in hooks and callable(value) and name not in registered and not is_spec:
            raise MineganError(f"its function {name!r} is not marked with @hookimpl from minegan_zoo.contracts")


def by_kind(kind: str) -> Registry[Any]:
    """The registry of a kind, by the plural that the user types."""
    every = (generators, miners, critics, selectors, objectives, augmentations, strategies, regularisers)
    return next(registry for registry in every if registry.kind == kind)


def describe(name: str) -> dict[str, Any]:
    """All that is known of `name`, of whatever kind, as JSON values; MineganError where no kind has it."""
    owners = [kind for kind in KINDS if name in by_kind(kind).list()]
    if not owners:
        raise MineganError(" ".join(_explain("name", name, [n for kind in KINDS for n in by_kind(kind).list()])))
    info = by_kind(owners[0]).info(name)
    facts: dict[str, Any] = {
        "kind": by_kind(owners[0]).noun,
        "summary": info.summary,
        "about": info.description.removeprefix(info.summary).strip(),
        "plugin": f"{info.plugin} {info.version}",
        "image": str(info.image) if info.image else None,
        "latents": {key: f"{space.shape} {space.prior}" for key, space in (info.latents or {}).items()},
        "options": [str(option) for option in info.options],
    }
    if info.card:
        facts |= {key: dict(value) if isinstance(value, Mapping) else value for key, value in vars(info.card).items()}
    return {key: value for key, value in facts.items() if value}
