# The plain pipe of Algorithmia's images for Python: imports the algorithm and
# calls its apply.
import base64
import json
import sys
import traceback


def apply(input):
    if input == "raise":
        raise KeyError("missing")
    if isinstance(input, bytes):
        return input + b"!"
    return input


def respond(message):
    with open("/tmp/algoout", "w") as fifo:
        fifo.write(json.dumps(message))
        fifo.write("\n")


print("PIPE_INIT_COMPLETE")
sys.stdout.flush()
for line in sys.stdin:
    try:
        request = json.loads(line)
        data = request["data"]
        if request["content_type"] == "binary":
            data = base64.b64decode(data)
        result = apply(data)
        if isinstance(result, bytes):
            kind, result = "binary", base64.b64encode(result).decode()
        else:
            kind = "text" if isinstance(result, str) else "json"
        message = {"result": result, "metadata": {"content_type": kind}}
    except Exception as e:
        message = {"error": {"message": str(e), "stacktrace": traceback.format_exc(), "error_type": getattr(e, "error_type", "AlgorithmError")}}
    sys.stdout.flush()
    respond(message)
