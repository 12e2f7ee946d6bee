from Algorithmia import ADK


def apply(input):
    print("greeting", input)
    return "hello {}".format(str(input))


algorithm = ADK(apply)
algorithm.init("Algorithmia")
