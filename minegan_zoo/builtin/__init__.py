"""The core's own miners, selectors, critics, objectives, augmentations and strategies; each imports contracts only.

They live in a package because `minegan_zoo.miners` and its siblings are the registries.
"""
