from Algorithmia import ADK


def load():
    raise RuntimeError("no such model")


def apply(input, state):
    return input


algorithm = ADK(apply, load)
algorithm.init("Algorithmia")
