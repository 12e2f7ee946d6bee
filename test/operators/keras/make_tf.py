"""Writes the cases of this folder that Keras 2 makes on TensorFlow.

tf-keras 2.21.0 with tensorflow-cpu 2.21.0, Python 3.12:

    python make_tf.py
"""

import io
import os
import shutil
import sys
import zipfile

os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"})

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import Input, Model, Sequential, layers

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {}


def case(form="h5"):
    def add(f):
        CASES[f.__name__] = (f, form)
        return f

    return add


def save_arrays(path, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, a in sorted(arrays.items()):
            b = io.BytesIO()
            np.lib.format.write_array(b, np.ascontiguousarray(a))
            info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, b.getvalue())


def write(name, f, form):
    keras.backend.clear_session()
    rng = np.random.RandomState(len(name) + 5)
    made = f()
    model, given = made if isinstance(made, tuple) else (made, {})
    model.set_weights([np.abs(rng.normal(0, 0.5, w.shape)) + 0.5 if "variance" in w.name else rng.normal(0, 0.5, w.shape) for w in model.weights])
    inputs = {}
    for n, t in zip(model.input_names, model.inputs):
        a = given.get(n, rng.normal(0, 1, [2 if d is None else d for d in t.shape]))
        inputs[n] = np.asarray(a).astype(t.dtype.as_numpy_dtype)
    outs = model.predict(inputs if len(inputs) > 1 else next(iter(inputs.values())), verbose=0)
    outs = outs if isinstance(outs, list) else [outs]
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if form == "json":
        with open(os.path.join(folder, "net.json"), "w") as o:
            o.write(model.to_json())
        model.save_weights(os.path.join(folder, "net.weights.h5"))
    else:
        model.save(os.path.join(folder, "model." + form))
    names = []
    for n in model.output_names:
        assert n not in names, n
        names.append(n)
    arrays = {"in/" + n: a for n, a in inputs.items()}
    arrays.update({"out/" + n: np.asarray(a, np.float32) for n, a in zip(names, outs)})
    save_arrays(folder + ".npz", arrays)


def small():
    x = Input((8, 8, 2), name="x")
    h = layers.Conv2D(3, 3, activation="relu")(x)
    h = layers.BatchNormalization()(h)
    h = layers.Conv2D(3, 3, padding="same")(h)
    h = layers.ReLU(6.0)(h)
    inner = Sequential([layers.Conv2D(2, 3, input_shape=(6, 6, 3)), layers.BatchNormalization(), layers.Flatten(), layers.Dense(4)], name="inner")
    h = inner(h)
    g = layers.Reshape((2, 2))(h)
    g = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(g)
    g = layers.MultiHeadAttention(2, 3)(g, g)
    g = layers.TimeDistributed(layers.Dense(2))(g)
    return Model(x, [layers.Dense(3, activation="softmax", name="a")(h), layers.GRU(3, name="b")(g)])


@case("keras")
def tk_archive():
    return small()


@case("h5")
def tk_whole():
    return small()


@case("json")
def tk_json():
    return small()


@case("keras")
def tk_sequential():
    return Sequential([layers.Conv2D(3, 3, input_shape=(8, 8, 1), activation="swish", name="c"), layers.Conv2D(3, 3, name="d"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4, activation="hard_sigmoid", name="out")])


@case("h5")
def tk_functions():
    x, y = Input((4, 6), name="x"), Input((4, 6), name="y")
    p = tf.abs(x) + 0.5
    outs = [x + y, x - 1.0, 2.0 * y, x / p, p**2.0, -x, tf.nn.relu(x), tf.nn.relu6(x * 4), tf.sigmoid(x), tf.tanh(y), tf.nn.softmax(x, axis=1), tf.nn.softmax(x), tf.sqrt(p), tf.square(x), tf.exp(x), tf.math.log(p), tf.maximum(x, y), tf.minimum(x, 0.1),
            tf.reduce_mean(x, axis=1), tf.reduce_sum(x, axis=-1, keepdims=True), tf.reduce_max(x, axis=[1, 2]), tf.concat([x, y], axis=1), tf.reshape(x, (-1, 24)), tf.transpose(x, (0, 2, 1)), tf.expand_dims(x, 1), tf.squeeze(tf.expand_dims(y, 1), axis=1),
            tf.stack([x, y], axis=1), tf.clip_by_value(x, -0.5, 0.5), tf.matmul(x, y, transpose_b=True), x[:, 1], x[:, 1:3, ::2], x[..., 0], tf.cast(tf.cast(x, tf.int32), tf.float32), tf.nn.leaky_relu(x), tf.nn.gelu(x), tf.nn.silu(x), tf.nn.elu(x),
            tf.where(x > 0.0, x, y), tf.pad(x, [[0, 0], [1, 2], [0, 0]]), tf.split(x, 2, axis=1)[1], tf.tile(x, [1, 2, 1]), tf.nn.l2_normalize(x, axis=-1), tf.math.rsqrt(p), tf.nn.softplus(x)]
    return Model([x, y], [layers.Activation("linear", name=f"o{i}")(t) for i, t in enumerate(outs)])


@case("keras")
def tk_masks():
    x = Input((6,), dtype="int32", name="x")
    e = layers.Embedding(7, 4, mask_zero=True, name="e")(x)
    return Model(x, [layers.LSTM(3, return_sequences=True, name="lstm")(e), layers.Bidirectional(layers.GRU(3), name="both")(e), layers.GlobalAveragePooling1D(name="mean")(e), layers.Attention(name="att")([e, e]), layers.GRU(2, name="z")(layers.Dropout(0.5)(layers.LSTM(3, return_sequences=True, zero_output_for_mask=True, name="zeros")(e)))]), {
        "x": np.array([[1, 2, 3, 0, 0, 0], [0, 0, 4, 5, 6, 1], [2, 0, 3, 0, 1, 0]])}


@case("h5")
def tk_more():
    x = Input((6, 6, 4), name="x")
    return Model(x, [f(x) for f in [layers.DepthwiseConv2D(3, name="deep"), layers.SeparableConv2D(3, 3, padding="same", name="sep"), layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="back"), layers.Conv2D(4, 3, groups=2, name="groups"), layers.LayerNormalization(name="norm"),
                                    layers.GroupNormalization(2, name="group"), layers.UnitNormalization(name="unit"), layers.UpSampling2D(2, interpolation="bilinear", name="up"), layers.Resizing(4, 5, name="resize"), layers.Rescaling(0.5, 1.0, name="rescale"), layers.CenterCrop(3, 4, name="crop"),
                                    layers.RandomFlip(name="flip"), layers.AveragePooling2D(3, strides=2, padding="same", name="mean"), layers.ThresholdedReLU(0.2, name="thr"), layers.Softmax(axis=[1, 2], name="soft"), layers.Activation("gelu", name="gelu"), layers.RandomHeight(0.1, name="height"), layers.RandomWidth(0.1, name="width")]])


if __name__ == "__main__":
    for name, (f, form) in CASES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            write(name, f, form)
            print(name)
        except Exception as e:
            print(name, "FAILED:", type(e).__name__, str(e)[:700])
