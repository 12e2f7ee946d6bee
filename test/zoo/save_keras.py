"""Writes a whole architecture as .h5 and as .keras, with inputs and outputs.

    python save_keras.py NAME FOLDER [--onnx]

makes FOLDER/NAME.h5 and FOLDER/NAME.keras, each with the model's file, and in1.npz
and out1.npz for one item and in3.npz and out3.npz for three, whose arrays have the
names of the model's inputs and outputs. With --onnx it also writes
FOLDER/NAME.onnx, by tf2onnx. It prints the versions. With keras 3.15.1 on
tensorflow-cpu 2.21.0, or on JAX (KERAS_BACKEND=jax).
"""
import importlib.util
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow" if importlib.util.find_spec("tensorflow") else "jax")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from architectures import MODELS, statistics  # noqa: E402


def inputs_for(model, batch, rng):
    out = {}
    for t in model.inputs:
        shape = [batch] + [12 if d is None else d for d in t.shape[1:]]
        if "int" in t.dtype:
            ids = rng.integers(1, 50, shape).astype(np.int32)
            ids[:, -3:] = 0  # what an embedding with a mask leaves out
            out[t._keras_history.operation.name] = ids
        else:
            out[t._keras_history.operation.name] = (rng.random(shape) * (255 if shape[-1] == 3 and shape[1] > 100 else 1)).astype(np.float32)
    return out


def main(name, folder, exported):
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    model = MODELS[name]()
    statistics(model, rng)
    arrays = {}
    for batch in (1, 3):
        given = inputs_for(model, batch, rng)
        got = model.predict_on_batch(list(given.values()) if len(given) > 1 else next(iter(given.values())))
        got = got if isinstance(got, list) else [got]
        arrays[f"in{batch}.npz"] = given
        arrays[f"out{batch}.npz"] = {t._keras_history.operation.name: np.asarray(a) for t, a in zip(model.outputs, got)}
    for form in ("h5", "keras"):
        to = os.path.join(folder, f"{name}.{form}")
        os.makedirs(to)
        model.save(os.path.join(to, "model." + form))
        for file, values in arrays.items():
            np.savez(os.path.join(to, file), **values)
    if exported:  # the framework's own way to ONNX, to race against
        saved = os.path.join(folder, "exported")
        model.export(saved, verbose=False)
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", saved, "--output", os.path.join(folder, name + ".onnx"), "--opset", "17"]
        subprocess.run(command, check=True, stdout=sys.stderr, cwd=folder)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "--onnx" in sys.argv[3:])
