minegan_zoo_plugin = "minegan-zoo-progan"


def test_conformance(minegan_check):
    minegan_check()
