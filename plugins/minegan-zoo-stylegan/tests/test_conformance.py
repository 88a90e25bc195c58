minegan_zoo_plugin = "minegan-zoo-stylegan"


def test_conformance(minegan_check):
    minegan_check()
