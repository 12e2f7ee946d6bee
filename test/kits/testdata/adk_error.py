from Algorithmia import ADK


def apply(input):
    raise ValueError("no such " + input)


algorithm = ADK(apply)
algorithm.init("Algorithmia")
