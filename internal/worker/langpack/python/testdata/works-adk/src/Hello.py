from Algorithmia import ADK


def apply(input):
    if input == "raise":
        raise Exception("out of cheese")
    return "hello {}".format(str(input))


algorithm = ADK(apply)
algorithm.init("Algorithmia")
