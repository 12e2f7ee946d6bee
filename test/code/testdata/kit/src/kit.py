from Algorithmia import ADK


# A program as Algorithmia's own kit has it: load once, apply for each call.
def load():
    return {"greeting": "hello"}


def apply(input, state):
    if input == "raise":
        raise ValueError("out of cheese")
    return "{} {}".format(state["greeting"], input)


algorithm = ADK(apply, load)
algorithm.init("Algorithmia")
