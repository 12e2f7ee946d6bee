def apply(input):
    return "hello " + input
