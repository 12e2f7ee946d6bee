import sys


def apply(input):
    who = input["who"]
    print(f"greeting {who}")
    if who == "Nobody":
        print("nobody is there \x1b[31m", file=sys.stderr)
        raise ValueError("there is nobody to greet")
    border = input.get("border", {})
    line = border.get("left", "") + "hello " + who + border.get("right", "")
    return [line] * input.get("times", 1)
