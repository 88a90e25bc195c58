"""The frozen configuration of a run, to and from TOML, with every option checked against its builder.

May import contracts, options and registry.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from minegan_zoo import registry
from minegan_zoo.contracts import MineganError
from minegan_zoo.options import convert, describe_type, did_you_mean
from minegan_zoo.settings import NEW, Choice, SourceChoice, Training

PARTS = ("strategy", "miner", "selector", "critic", "objective", "augmentation")
REGISTRIES: Mapping[str, registry.Registry[Any]] = {
    "strategy": registry.strategies,
    "miner": registry.miners,
    "selector": registry.selectors,
    "critic": registry.critics,
    "objective": registry.objectives,
    "augmentation": registry.augmentations,
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that is needed to repeat a run."""

    sources: tuple[SourceChoice, ...]
    target: str
    test: str | None = None
    """Images for FID that training never sees."""
    limit: int | None = None
    """Use this many target images, a seeded subset."""
    labels: bool | None = None
    """The target's classes condition miners and critic; None: where it is a folder of at least two class folders."""
    choose: Literal["probability", "winner"] = "probability"
    """How samples choose their source: by the selector's probabilities, or the one that the critic scores best."""
    strategy: Choice = Choice("minegan")
    miner: Choice = Choice("mlp")
    selector: Choice = Choice("partition")
    critic: Choice = Choice("source")
    objective: Choice = Choice("logistic")
    augmentation: Choice | None = None
    """None: what the strategy takes for so many images; "none": nothing."""
    training: Training = Training()
    steps: int | None = None
    batch: int = 32
    seed: int = 0
    resolution: int | None = None
    noise_dim: int | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        for part in PARTS:
            choice: Choice | None = vars(self)[part]
            if choice is not None and not isinstance(choice.name, str):
                raise MineganError(
                    f"{part} is chosen by its name, a string (see: minegan-zoo list), not by {choice.name!r}; what it "
                    "can be told goes into options"
                )

    def checked(self) -> RunConfig:
        """The same with names looked up, values converted and defaults filled in; MineganError where one is wrong."""
        changed: dict[str, Any] = _convert_settings(vars(self), "")
        for name, least in (("steps", 1), ("batch", 1), ("resolution", 4), ("noise_dim", 1), ("limit", 1)):
            if changed[name] is not None and changed[name] < least:
                raise MineganError(f"{name} must be at least {least}, not {changed[name]}")
        self.training.check()
        if changed["device"] not in (None, "cpu", "cuda"):
            raise MineganError(f"device must be cpu or cuda, not {changed['device']!r}")
        for part in PARTS:
            choice = vars(self)[part]
            if choice is not None:
                defaults = {option.name: option.default for option in REGISTRIES[part].info(choice.name).options}
                given = defaults | REGISTRIES[part].check(choice.name, choice.options)
                left_open = {name for name, value in given.items() if value is None and defaults[name] is None}
                changed[part] = Choice(choice.name, {name: given[name] for name in given if name not in left_open})
        return dataclasses.replace(self, **changed)

    def with_options(self, given: Mapping[str, Any]) -> RunConfig:
        """Apply "part.option" keys; a bare one is a setting of the run or goes to the one part that has it."""
        config = self
        for key, value in _flatten(given).items():
            part, separator, name = key.rpartition(".")
            if not separator and key in _setting_hints():
                config = dataclasses.replace(config, **_convert_settings({key: value}, ""))
                continue
            part = part if separator else config._part_with(name)
            if part == "training":
                config = dataclasses.replace(config, training=_set_training(config.training, name, value))
            elif part in PARTS and vars(config)[part] is not None:
                choice = vars(config)[part]
                changed: dict[str, Any] = {part: Choice(choice.name, {**choice.options, name: value})}
                config = dataclasses.replace(config, **changed)
            else:
                own = [part for part in PARTS if vars(config)[part] is not None]
                raise MineganError(f"option {key!r} names no part of this run: {', '.join(own)}, training")
        return config

    def _part_with(self, name: str) -> str:
        owners = [
            part
            for part in PARTS
            if vars(self)[part] is not None
            and name in [option.name for option in REGISTRIES[part].info(vars(self)[part].name).options]
        ]
        if name in [field.name for field in dataclasses.fields(Training)]:
            owners.append("training")
        if len(owners) == 1:
            return owners[0]
        if owners:
            raise MineganError(
                f"option {name!r} is ambiguous: write {' or '.join(f'{part}.{name}' for part in owners)}"
            )
        raise MineganError(f"no part of this run has an option {name!r}; they are: {'; '.join(self._all_options())}")

    def _all_options(self) -> list[str]:
        lines = []
        for part in PARTS:
            if vars(self)[part] is not None:
                options = REGISTRIES[part].info(vars(self)[part].name).options
                lines += [f"{part}.{option}" for option in options]
        return lines + [f"training.{field.name} = {field.default!r}" for field in dataclasses.fields(Training)]

    def versions(self) -> dict[str, str]:
        """Of the packages whose entries this run is made of, as installed."""
        named = [(REGISTRIES[part], vars(self)[part].name) for part in PARTS if vars(self)[part] is not None]
        named += [(registry.generators, choice.name) for choice in self.sources]
        found = [owner.info(name) for owner, name in named if name in owner.list()]
        return {info.package: info.version for info in found}

    def differences(self, other: RunConfig) -> list[str]:
        """Names of the settings in which two runs compute different things, as "steps" or "training.hold_out"."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in ("device", "training")]
        own, others = vars(self.training.computed()), vars(other.training.computed())
        return [
            *(name for name in names if _effect(vars(self)[name]) != _effect(vars(other)[name])),
            *(f"training.{name}" for name in own if own[name] != others[name]),
        ]

    def contrast(self, other: RunConfig, names: Sequence[str]) -> str:
        """Both values of settings that differ, this run's last: "steps: 40 there, 50 here"."""
        found = []
        for name in names:
            part = name.partition(".")[2]
            here, there = (vars(run.training)[part] if part else vars(run)[name] for run in (self, other))
            if isinstance(here, Choice) and isinstance(there, Choice) and here.name == there.name:
                own, others = (_effect(each).options for each in (here, there))
                options = [key for key in {**own, **others} if own.get(key) != others.get(key)]
                own, others = here.options, there.options
                found += [f"{name}.{key}: {others.get(key)} there, {own.get(key)} here" for key in options]
            else:
                found.append(f"{name}: {_shown(there)} there, {_shown(here)} here")
        return "; ".join(found)

    def to_toml(self) -> str:
        """As the `config.toml` of a run; `from_toml` gives the same configuration back."""
        import tomli_w

        return tomli_w.dumps(_without_none(dataclasses.asdict(self)))

    @classmethod
    def from_toml(cls, text: str, origin: str) -> RunConfig:
        """Read a `config.toml`; MineganError, naming `origin`, where it is no configuration."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MineganError(f"{origin} is not valid TOML: {error}") from error
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(table) - known)
        if unknown:
            raise MineganError(f"{origin} has unknown settings {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        missing = {"sources", "target"} - set(table)
        if missing:
            raise MineganError(f"{origin} lacks {' and '.join(sorted(missing))}")
        if not isinstance(table["sources"], list):
            raise MineganError(f"{origin}: sources is a list of names and tables, not {table['sources']!r}")
        if not isinstance(table.get("training", {}), Mapping):
            raise MineganError(f"{origin}: training is a table, not {table['training']!r}")
        training = Training()
        for name, value in table.get("training", {}).items():
            training = _set_training(training, name, value)
        values: dict[str, Any] = {
            **_convert_settings(table, f"{origin}: "),
            **{part: _read_choice(part, table[part], origin) for part in PARTS if part in table},
            "sources": tuple(_read_source(source, origin) for source in table["sources"]),
            "training": training,
        }
        return cls(**values)

    @classmethod
    def read(cls, path: Path) -> RunConfig:
        """Read a TOML file."""
        try:
            return cls.from_toml(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise MineganError(f"cannot read the run configuration {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise MineganError(f"the run configuration {path} is not UTF-8 text") from error


def _effect(value: Any) -> Any:
    """The same of what differs in name only: no augmentation and one that changes nothing; NEW unsaid and false."""
    if isinstance(value, Choice):
        value = Choice(value.name, {name: each for name, each in value.options.items() if each or name not in NEW})
    return None if value == Choice("none") else value


def _setting_hints() -> dict[str, Any]:
    """The plain settings of a run, those that are no part and no table -> their types."""
    hints = typing.get_type_hints(RunConfig)
    return {name: hint for name, hint in hints.items() if name not in (*PARTS, "sources", "training")}


def _convert_settings(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    converted = {}
    for name, hint in _setting_hints().items():
        if name in given:
            try:
                converted[name] = convert(given[name], hint)
            except ValueError:
                expected = describe_type(hint)
                raise MineganError(f"{where}{name} must be {expected}, not {given[name]!r}") from None
    return converted


def _read_source(value: Any, origin: str) -> SourceChoice:
    if isinstance(value, str):
        return SourceChoice.parse(value)
    return SourceChoice(**_read_table("a source", value, SourceChoice, origin))


def _read_choice(part: str, value: Any, origin: str) -> Choice:
    return Choice(value) if isinstance(value, str) else Choice(**_read_table(part, value, Choice, origin))


def _read_table(what: str, value: Any, kind: type, origin: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or "name" not in value:
        raise MineganError(f"{origin}: {what} is a string or a table with a name, not {value!r}")
    hints = typing.get_type_hints(kind)
    for name, inner in value.items():
        if name not in hints:
            raise MineganError(f"{origin}: {what} has an unknown setting {name!r}; known: {', '.join(hints)}")
        try:
            convert(inner, hints[name])
        except ValueError:
            raise MineganError(
                f"{origin}: {name} of {what} must be {describe_type(hints[name])}, not {inner!r}"
            ) from None
    return dict(value)


def _set_training(training: Training, name: str, value: Any) -> Training:
    hints = typing.get_type_hints(Training)
    if name not in hints:
        valid = ", ".join(hints)
        raise MineganError(f"training has no option {name!r}; its options: {valid}.{did_you_mean(name, hints)}")
    hint = hints[name]
    try:
        changed: dict[str, Any] = {name: convert(value, hint)}
        return dataclasses.replace(training, **changed)
    except ValueError:
        raise MineganError(f"option {name!r} of training must be {describe_type(hint)}, not {value!r}") from None


def _flatten(given: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, Mapping) and key in (*PARTS, "training"):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, SourceChoice):
        options = ", ".join(f"{name}={inner}" for name, inner in value.options.items())
        return f"{value.name}{f'={value.weights}' if value.weights else ''}{f'({options})' if options else ''}"
    return value.name if isinstance(value, Choice) else "none" if value is None else str(value)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value
