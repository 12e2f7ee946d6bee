from Algorithmia import ADK


def load():
    print("loading the model")
    return {"answer": 42}


def apply(input, state):
    if isinstance(input, bytes):
        return input[::-1]
    return {"input": input, "answer": state["answer"]}


algorithm = ADK(apply, load)
algorithm.init("Algorithmia")
