"""Writes a whole architecture as .h5 and as .keras, with inputs and outputs.

    python keras.py NAME FOLDER

makes FOLDER/NAME.h5 and FOLDER/NAME.keras, each with the model's file, and in1.npz
and out1.npz for one item and in3.npz and out3.npz for three, whose arrays have the
names of the model's inputs and outputs. It prints the versions. With keras 3.15.1
on tensorflow-cpu 2.21.0, or on JAX (KERAS_BACKEND=jax).
"""
import importlib.util
import os
import sys

# This file's own folder would hide the packages of the same names.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow" if importlib.util.find_spec("tensorflow") else "jax")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402


def lstm():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(50, 16, mask_zero=True)(ids)
    x = layers.LSTM(24, return_sequences=True)(x)
    x = layers.LSTM(16)(x)
    return keras.Model(ids, layers.Dense(5, activation="softmax", name="class")(x))


def bigru():
    x = inputs = keras.Input((20, 8), name="steps")
    x = layers.Bidirectional(layers.GRU(12, return_sequences=True))(x)
    x = layers.Bidirectional(layers.GRU(10, reset_after=False), merge_mode="sum")(x)
    return keras.Model(inputs, layers.Dense(3, name="score")(x))


def unet():
    x = inputs = keras.Input((64, 64, 3), name="image")
    skips = []
    for filters in (16, 32):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    for filters, skip in zip((32, 16), reversed(skips)):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skip])
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="sigmoid", name="mask")(x))


def transformer():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(60, 32)(ids)
    for _ in range(2):
        a = layers.MultiHeadAttention(4, 8)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(a))
        f = layers.Dense(32)(layers.Dense(64, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, f]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(ids, layers.Dense(4, name="class")(x))


app = keras.applications
MODELS = {
    "resnet50": lambda: app.ResNet50(weights=None),
    "mobilenetv2": lambda: app.MobileNetV2(weights=None),
    "densenet121": lambda: app.DenseNet121(weights=None),
    "efficientnetb0": lambda: app.EfficientNetB0(weights=None),
    "lstm": lstm, "bigru": bigru, "unet": unet, "transformer": transformer,
}


def statistics(model, rng):
    """Gives normalisations what training would have."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            mean, var = layer.moving_mean, layer.moving_variance
            mean.assign(rng.normal(0, 0.05, mean.shape))
            var.assign(rng.uniform(0.7, 1.3, var.shape))
        if isinstance(layer, layers.Normalization):
            layer.adapt_mean.assign(rng.normal(0, 0.05, layer.adapt_mean.shape))
            layer.adapt_variance.assign(rng.uniform(0.7, 1.3, layer.adapt_variance.shape))
            layer.finalize_state()


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


def main(name, folder):
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
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
