minegan_zoo_plugin = "minegan-zoo-biggan"


def test_conformance(minegan_check):
    minegan_check()
