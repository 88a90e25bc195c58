minegan_zoo_plugin = "minegan-zoo-toy"


def test_conformance(minegan_check):
    minegan_check()
