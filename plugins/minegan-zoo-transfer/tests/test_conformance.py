minegan_zoo_plugin = "minegan-zoo-transfer"


def test_conformance(minegan_check):
    minegan_check()
