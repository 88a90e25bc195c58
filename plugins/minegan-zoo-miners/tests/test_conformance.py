minegan_zoo_plugin = "minegan-zoo-miners"


def test_conformance(minegan_check):
    minegan_check()
