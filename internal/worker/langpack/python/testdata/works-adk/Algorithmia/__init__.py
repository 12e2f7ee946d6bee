"""Stands for Algorithmia's kit: the same names, the same pipe, and the same call
of traceback.format_exception that Python 3.10 refuses."""
import json
import sys
import traceback


class ADK:
    def __init__(self, apply):
        self.apply = apply

    def init(self, local_payload=None):
        print("PIPE_INIT_COMPLETE")
        sys.stdout.flush()
        for line in sys.stdin:
            try:
                answer = {"result": self.apply(json.loads(line)["data"]), "metadata": {"content_type": "text"}}
            except Exception as e:
                stack = " ".join(traceback.format_exception(etype=type(e), value=e, tb=e.__traceback__))
                answer = {"error": {"message": str(e), "stacktrace": stack, "error_type": "AlgorithmError"}}
            with open("/tmp/algoout", "w") as f:
                f.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
