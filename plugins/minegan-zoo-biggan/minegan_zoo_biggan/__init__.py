"""biggan for minegan_zoo."""

MINEGAN_ZOO_API = 1
