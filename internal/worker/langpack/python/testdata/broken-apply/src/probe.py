def aply(input):
    return input
