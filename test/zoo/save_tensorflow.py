"""Writes a whole architecture as a SavedModel, with inputs and outputs.

    python save_tensorflow.py NAME FOLDER [--onnx]

makes FOLDER/NAME.savedmodel, with in1.npz and out1.npz for one item and in3.npz
and out3.npz for three, whose arrays have the names of the signature. With --onnx
it also writes FOLDER/NAME.onnx, by tf2onnx. It prints the versions. With
tensorflow-cpu 2.21.0, keras 3.15.1 and tf2onnx 1.17.0.
"""
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from architectures import MODELS, statistics  # noqa: E402


def inputs_for(model, batch, rng):
    out = []
    for t in model.inputs:
        shape = [batch] + [12 if d is None else d for d in t.shape[1:]]
        if "int" in t.dtype:
            ids = rng.integers(1, 50, shape).astype(np.int32)
            ids[:, -3:] = 0  # what an embedding with a mask leaves out
            out.append(ids)
        else:
            out.append((rng.random(shape) * (255 if shape[-1] == 3 and shape[1] > 100 else 1)).astype(np.float32))
    return out


def main(name, folder, exported):
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    model = MODELS[name]()
    statistics(model, rng)
    to = os.path.join(folder, name + ".savedmodel")
    model.export(to, verbose=False) if name != "unet" else tf.saved_model.save(model, to)
    serve = tf.saved_model.load(to).signatures["serving_default"]
    names = list(serve.structured_input_signature[1])
    for batch in (1, 3):
        arrays = dict(zip(names, inputs_for(model, batch, rng)))
        np.savez(os.path.join(to, f"in{batch}.npz"), **arrays)
        got = serve(**{k: tf.constant(v) for k, v in arrays.items()})
        np.savez(os.path.join(to, f"out{batch}.npz"), **{k: v.numpy() for k, v in got.items()})
    if exported:  # the framework's own way to ONNX, to race against
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", to, "--output", os.path.join(folder, name + ".onnx"), "--opset", "17"]
        subprocess.run(command, check=True, stdout=sys.stderr, cwd=folder)
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "--onnx" in sys.argv[3:])
