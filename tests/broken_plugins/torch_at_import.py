"""Loads torch as soon as plugins are listed."""

import torch  # noqa: F401

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_import_is_light"


def build(weights):
    from sound_source import sound

    return sound(weights)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
