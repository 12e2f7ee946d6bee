"""Writes the cases of this folder that Keras 3 makes: small models with arrays.

Keras 3.15.1 on JAX 0.8 or later, Python 3.12 (pip install keras jax h5py numpy):

    KERAS_BACKEND=jax python make.py

A case is a model with one output for each layer that it proves, or for each
setting. Weights and inputs come from seeds; statistics of normalisations are
positive. make_old.py writes those of Keras 1 and 2.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import io
import json
import shutil
import sys
import zipfile

import h5py
import keras
import numpy as np
from keras import Input, Model, Sequential, layers, ops

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {}


def case(form="h5", **settings):
    def add(f):
        CASES[f.__name__] = (f, form, settings)
        return f

    return add


def randomize(model, rng):
    values = []
    for w in model.weights:
        v = rng.normal(0, 0.5, w.shape).astype(np.float32)
        if "variance" in w.name:
            v = np.abs(v) + 0.5
        if w.name == "count":
            v = np.zeros(w.shape, np.int32)
        values.append(v)
    model.set_weights(values)
    for l in model._flatten_layers():
        if isinstance(l, layers.Normalization):
            l.finalize_state()


def save_arrays(path, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, a in arrays.items():
            b = io.BytesIO()
            np.lib.format.write_array(b, np.ascontiguousarray(a))
            info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, b.getvalue())


def pack(path):
    """Packs an archive, whose entries Keras only stores: most of small HDF5 files is zeros."""
    with zipfile.ZipFile(path) as z:
        entries = {n: z.read(n) for n in z.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for n, data in entries.items():
            info = zipfile.ZipInfo(n, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, data)


def as_windows(path):
    """Gives the groups of layers in an archive such names, without the names that newer versions note."""
    with zipfile.ZipFile(path) as z:
        entries = {n: z.read(n) for n in z.namelist()}
    old = h5py.File(io.BytesIO(entries["model.weights.h5"]), "r")
    out = io.BytesIO()
    with h5py.File(out, "w") as new:
        for n in old["layers"]:
            group = new.create_group("_layer_checkpoint_dependencies\\" + n)
            for k, v in old["layers"][n].get("vars", {}).items():
                group.create_dataset("vars/" + k, data=v)
    entries["model.weights.h5"] = out.getvalue()
    with zipfile.ZipFile(path, "w") as z:
        for n, data in entries.items():
            z.writestr(zipfile.ZipInfo(n, (1980, 1, 1, 0, 0, 0)), data)


def names_of(model):
    if isinstance(model, Sequential):
        return [model.layers[-1].name]
    out = []
    for t in keras.tree.flatten(model.outputs):
        base = t._keras_history.operation.name
        name, n = base, 1
        while name in out:
            name, n = f"{base}_{n}", n + 1
        out.append(name)
    return out


def write(name, f, form, settings):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(len(name) * 7 + 1)
    made = f()
    model, given = made if isinstance(made, tuple) else (made, {})
    if not settings.get("as_made"):
        randomize(model, rng)
    inputs = {}
    for t in keras.tree.flatten(model.inputs):
        n = t._keras_history.operation.name
        shape = [2 if d is None else d for d in t.shape]
        a = given.get(n)
        if a is None:
            a = rng.normal(0, 1, shape)
        inputs[n] = np.asarray(a).astype(str(t.dtype))
    outs = model([inputs[t._keras_history.operation.name] for t in keras.tree.flatten(model.inputs)] if len(inputs) > 1 else next(iter(inputs.values())), training=False)
    outs = [np.asarray(o, np.float32) if np.asarray(o).dtype == np.float64 else np.asarray(o) for o in keras.tree.flatten(outs)]
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if form == "json":
        with open(os.path.join(folder, "model.json"), "w") as o:
            o.write(model.to_json())
        model.save_weights(os.path.join(folder, "model.weights.h5"))
    else:
        model.save(os.path.join(folder, "model." + form))
    if settings.get("windows"):
        as_windows(os.path.join(folder, "model.keras"))
    elif form == "keras":
        pack(os.path.join(folder, "model.keras"))
    arrays = {"in/" + n: a for n, a in inputs.items()}
    arrays.update({"out/" + n: a for n, a in zip(names_of(model), outs)})
    save_arrays(folder + ".npz", arrays)
    extra = {k: v for k, v in settings.items() if k in ("atol", "shapes", "single")}
    if extra:
        with open(folder + ".json", "w") as o:
            json.dump(extra, o)


def many(x, makers):
    """A model of one input that gives what each of several layers makes of it."""
    return Model(x, [m(x) for m in makers])


@case("keras")
def dense():
    x = Input((5,), name="x")
    y = Input((3, 5), name="y")
    return Model([x, y], [layers.Dense(4, activation="relu", name="a")(x), layers.Dense(4, use_bias=False, name="b")(x), layers.Dense(2, activation="tanh", name="c")(y), layers.Dense(2, use_bias=False, name="d")(y)])


@case("keras")
def activations():
    x = Input((6,), name="x")
    functions = ["linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign", "elu", "selu", "celu", "exponential",
                 "hard_sigmoid", "hard_silu", "silu", "gelu", "mish", "glu", "sparse_plus", "sparse_sigmoid", "squareplus", "soft_shrink", "hard_shrink", "hard_tanh",
                 "tanh_shrink", "log_sigmoid", "sparsemax"]
    return many(x, [layers.Activation(f, name="f_" + f) for f in functions]), {
        "x": np.linspace(-4, 4, 24).reshape(4, 6)}


@case("keras")
def activation_layers():
    x = Input((3, 4), name="x")
    return many(x, [layers.ReLU(name="relu"), layers.ReLU(max_value=1.0, name="relu_max"), layers.ReLU(negative_slope=0.1, name="relu_slope"),
                    layers.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.5, name="relu_all"), layers.LeakyReLU(name="leaky"), layers.LeakyReLU(negative_slope=0.01, name="leaky_own"),
                    layers.PReLU(name="prelu"), layers.PReLU(shared_axes=[1], name="prelu_shared"), layers.ELU(alpha=0.7, name="elu"),
                    layers.Softmax(name="softmax"), layers.Softmax(axis=1, name="softmax_steps"), layers.Softmax(axis=[1, 2], name="softmax_both"),
                    layers.Activation("softmax", name="softmax_plain"), layers.Dense(3, activation=layers.LeakyReLU(0.3), name="dense_leaky"), layers.Identity(name="same")])


@case("keras")
def conv1d():
    x = Input((9, 3), name="x")
    return many(x, [layers.Conv1D(4, 3, name="valid"), layers.Conv1D(4, 4, padding="same", activation="relu", name="same"), layers.Conv1D(4, 3, strides=2, padding="same", use_bias=False, name="strided"),
                    layers.Conv1D(2, 3, dilation_rate=2, padding="causal", name="causal"), layers.Conv1D(2, 3, strides=2, padding="causal", name="causal_strided"),
                    layers.DepthwiseConv1D(3, depth_multiplier=2, name="depthwise"), layers.SeparableConv1D(4, 3, padding="same", depth_multiplier=2, activation="tanh", name="separable"),
                    layers.Conv1DTranspose(2, 3, strides=2, name="back"), layers.Conv1DTranspose(2, 4, strides=2, padding="same", name="back_same")])


@case("h5")
def conv2d():
    x = Input((7, 8, 4), name="x")
    return many(x, [layers.Conv2D(3, (2, 3), name="valid"), layers.Conv2D(3, 3, padding="same", activation="relu", name="same"), layers.Conv2D(3, 4, padding="same", name="same_even"),
                    layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False, name="strided"), layers.Conv2D(3, 3, strides=(2, 3), name="strided_valid"),
                    layers.Conv2D(4, 3, dilation_rate=2, padding="same", name="dilated"), layers.Conv2D(4, 3, groups=2, name="groups")])


@case("keras")
def conv2d_first():
    x = Input((4, 7, 8), name="x")
    first = {"data_format": "channels_first"}
    return many(x, [layers.Conv2D(3, (2, 3), name="valid", **first), layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="strided", **first),
                    layers.DepthwiseConv2D(3, name="depthwise", **first), layers.SeparableConv2D(3, 3, name="separable", **first), layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="back", **first),
                    layers.MaxPooling2D(2, name="max", **first), layers.AveragePooling2D(3, strides=2, padding="same", name="mean", **first), layers.GlobalAveragePooling2D(name="gap", **first),
                    layers.ZeroPadding2D(((1, 0), (2, 1)), name="pad", **first), layers.Cropping2D(((1, 0), (2, 1)), name="crop", **first), layers.UpSampling2D((2, 3), name="up", **first),
                    layers.Flatten(name="flat", **first), layers.BatchNormalization(axis=1, name="norm"), layers.GroupNormalization(2, axis=1, name="group")])


@case("keras")
def conv2d_open():
    """Without sizes, and with those of a declared picture left open."""
    x = Input((None, None, 3), name="x")
    h = layers.Conv2D(4, 3, strides=2, padding="same", name="c1")(x)
    h = layers.MaxPooling2D(3, strides=2, padding="same", name="p1")(h)
    h = layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="t1")(h)
    h = layers.UpSampling2D(2, name="u1")(h)
    return Model(x, [h, layers.GlobalAveragePooling2D(name="gap")(h)]), {"x": np.random.default_rng(5).normal(0, 1, (2, 11, 14, 3))}


@case("keras")
def conv2d_deep():
    x = Input((7, 8, 4), name="x")
    return many(x, [layers.DepthwiseConv2D(3, name="depthwise"), layers.DepthwiseConv2D((2, 3), strides=2, padding="same", depth_multiplier=2, activation="relu", name="depthwise_more"),
                    layers.DepthwiseConv2D(3, dilation_rate=2, use_bias=False, name="depthwise_dilated"), layers.SeparableConv2D(3, 3, strides=2, padding="same", name="separable"),
                    layers.SeparableConv2D(3, 3, depth_multiplier=2, dilation_rate=2, use_bias=False, activation="elu", name="separable_more")])


@case("keras")
def conv2d_back():
    x = Input((4, 5, 3), name="x")
    return many(x, [layers.Conv2DTranspose(2, 3, name="valid"), layers.Conv2DTranspose(2, 3, padding="same", name="same"), layers.Conv2DTranspose(2, 3, strides=2, name="strided"),
                    layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="relu", use_bias=False, name="strided_same"), layers.Conv2DTranspose(2, 2, strides=3, name="sparse"),
                    layers.Conv2DTranspose(2, 2, strides=3, padding="same", name="sparse_same"), layers.Conv2DTranspose(2, 4, strides=2, padding="same", name="even"), layers.Conv2DTranspose(2, 5, strides=2, padding="same", name="five"),
                    layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1, name="extra"), layers.Conv2DTranspose(2, 3, strides=2, output_padding=1, name="extra_valid"),
                    layers.Conv2DTranspose(2, 3, dilation_rate=2, padding="same", name="dilated")])


@case("keras")
def conv3d():
    x = Input((4, 5, 6, 2), name="x")
    return many(x, [layers.Conv3D(3, 2, name="valid"), layers.Conv3D(3, 3, strides=2, padding="same", activation="relu", name="same"), layers.Conv3DTranspose(2, 3, strides=2, padding="same", name="back"),
                    layers.MaxPooling3D(2, name="max"), layers.AveragePooling3D(2, padding="same", name="mean"), layers.GlobalMaxPooling3D(name="gmax"), layers.GlobalAveragePooling3D(name="gmean"),
                    layers.ZeroPadding3D(((1, 0), (0, 1), (2, 1)), name="pad"), layers.Cropping3D(((1, 0), (0, 1), (2, 1)), name="crop"), layers.UpSampling3D((2, 1, 2), name="up"), layers.SpatialDropout3D(0.5, name="drop")])


@case("keras")
def pooling():
    x = Input((7, 8, 3), name="x")
    return many(x, [layers.MaxPooling2D(name="max"), layers.MaxPooling2D(3, strides=2, padding="same", name="max_same"), layers.AveragePooling2D((2, 3), name="mean"),
                    layers.AveragePooling2D(3, strides=2, padding="same", name="mean_same"), layers.GlobalMaxPooling2D(name="gmax"), layers.GlobalAveragePooling2D(keepdims=True, name="gmean"),
                    layers.AdaptiveAveragePooling2D((3, 4), name="adaptive_mean"), layers.AdaptiveMaxPooling2D((3, 5), name="adaptive_max")])


@case("keras")
def pooling1d():
    x = Input((9, 3), name="x")
    return many(x, [layers.MaxPooling1D(name="max"), layers.MaxPooling1D(3, strides=2, padding="same", name="max_same"), layers.AveragePooling1D(3, name="mean"), layers.AveragePooling1D(2, padding="same", name="mean_same"),
                    layers.GlobalMaxPooling1D(name="gmax"), layers.GlobalAveragePooling1D(name="gmean"), layers.AdaptiveAveragePooling1D(4, name="adaptive_mean"), layers.AdaptiveMaxPooling1D(3, name="adaptive_max"),
                    layers.ZeroPadding1D((1, 2), name="pad"), layers.Cropping1D((1, 2), name="crop"), layers.UpSampling1D(3, name="up")])


@case("keras")
def pooling3d():
    x = Input((4, 5, 6, 2), name="x")
    return many(x, [layers.AdaptiveAveragePooling3D((2, 3, 2), name="adaptive_mean"), layers.AdaptiveMaxPooling3D((2, 3, 2), name="adaptive_max")])


@case("keras")
def shapes():
    x = Input((4, 6, 2), name="x")
    return many(x, [layers.Flatten(name="flat"), layers.Reshape((8, 6), name="reshape"), layers.Reshape((-1, 3, 2), name="reshape_free"), layers.Permute((3, 1, 2), name="permute"),
                    layers.ZeroPadding2D(1, name="pad"), layers.ZeroPadding2D((1, 2), name="pad_two"), layers.ZeroPadding2D(((1, 2), (0, 3)), name="pad_four"),
                    layers.Cropping2D(1, name="crop"), layers.Cropping2D(((1, 0), (2, 1)), name="crop_four"), layers.UpSampling2D((2, 3), name="up"),
                    layers.UpSampling2D(2, interpolation="bilinear", name="up_bilinear"), layers.UpSampling2D(3, interpolation="bicubic", name="up_bicubic"),
                    layers.Resizing(7, 5, name="resize"), layers.Resizing(3, 9, interpolation="nearest", name="resize_nearest"), layers.CenterCrop(2, 3, name="center")])


@case("keras")
def vectors():
    x = Input((5,), name="x")
    return many(x, [layers.RepeatVector(3, name="repeat"), layers.Dropout(0.5, name="d0"), layers.GaussianDropout(0.5, name="d1"), layers.GaussianNoise(0.5, name="d2"), layers.AlphaDropout(0.5, name="d3"),
                    layers.ActivityRegularization(0.1, name="d4"), layers.UnitNormalization(name="unit"), layers.RMSNormalization(name="rms"), layers.Rescaling(0.5, offset=-1, name="rescale"),
                    layers.SpectralNormalization(layers.Dense(3), name="spectral")])


@case("keras")
def dropouts():
    x = Input((5, 4), name="x")
    y = Input((5, 4, 2), name="y")
    return Model([x, y], [layers.SpatialDropout1D(0.5, name="s1")(x), layers.SpatialDropout2D(0.5, name="s2")(y)])


@case("keras")
def random_pictures():
    x = Input((6, 6, 3), name="x")
    return many(x, [layers.RandomFlip(name="r_flip"), layers.RandomRotation(0.1, name="r_rot"), layers.RandomZoom(0.1, name="r_zoom"), layers.RandomTranslation(0.1, 0.1, name="r_move"),
                    layers.RandomContrast(0.1, name="r_contrast"), layers.RandomBrightness(0.1, name="r_bright")])


@case("h5")
def norms():
    x = Input((4, 6), name="x")
    return many(x, [layers.BatchNormalization(name="batch"), layers.BatchNormalization(scale=False, epsilon=0.01, name="batch_no_scale"), layers.BatchNormalization(center=False, name="batch_no_center"),
                    layers.BatchNormalization(axis=1, scale=False, center=False, name="batch_axis"), layers.LayerNormalization(name="layer"), layers.LayerNormalization(axis=1, name="layer_axis"),
                    layers.LayerNormalization(axis=[1, 2], scale=False, name="layer_both"), layers.LayerNormalization(center=False, epsilon=0.1, name="layer_no_center"),
                    layers.LayerNormalization(rms_scaling=True, name="layer_rms"), layers.GroupNormalization(3, name="group"), layers.GroupNormalization(-1, scale=False, name="instance"), layers.UnitNormalization(axis=1, name="unit")])


@case("keras")
def normalization():
    x = Input((3, 4), name="x")
    return many(x, [layers.Normalization(name="learnt"), layers.Normalization(mean=1.5, variance=2.0, axis=None, name="given"), layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 4, 9, 16], name="each"),
                    layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 4, 9, 16], invert=True, name="back"), layers.Normalization(axis=(1, 2), name="both"),
                    layers.Rescaling([0.5, 1, 2, 3], offset=[0, 1, 2, 3], name="rescale_each")])


@case("keras")
def merges():
    x, y, z = Input((3, 4), name="x"), Input((3, 4), name="y"), Input((3, 4), name="z")
    return Model([x, y, z], [layers.Add(name="add")([x, y, z]), layers.Subtract(name="sub")([x, y]), layers.Multiply(name="mul")([x, y, z]), layers.Average(name="mean")([x, y, z]), layers.Maximum(name="max")([x, y]),
                             layers.Minimum(name="min")([x, y]), layers.Concatenate(name="concat")([x, y, z]), layers.Concatenate(axis=1, name="concat_steps")([x, y])])


@case("keras")
def dots():
    x, y, a, b = Input((3, 4), name="x"), Input((5, 4), name="y"), Input((4,), name="a"), Input((4,), name="b")
    return Model([x, y, a, b], [layers.Dot(axes=2, name="d22")([x, y]), layers.Dot(axes=1, name="d11")([a, b]), layers.Dot(axes=1, normalize=True, name="cos")([a, b]), layers.Dot(axes=(2, 1), name="d21")([x, a]),
                                layers.Dot(axes=(1, 2), name="d12")([a, y]), layers.Add(name="wide")([x, layers.Reshape((1, 4))(a)])])


@case("h5")
def embeddings():
    x = Input((5,), name="x")
    y = Input((4,), dtype="int32", name="y")
    return Model([x, y], [layers.Embedding(7, 3, name="e1")(x), layers.Embedding(6, 2, name="e2")(y)]), {"x": np.array([[0, 1, 2, 3, 6], [5, 4, 3, 2, 1]]), "y": np.array([[0, 5, 1, 2], [3, 3, 4, 0]])}


def recurrent(cls, **more):
    x = Input((5, 3), name="x")
    return many(x, [cls(4, name="last", **more), cls(4, return_sequences=True, name="all", **more), cls(4, go_backwards=True, name="back", **more),
                    cls(4, go_backwards=True, return_sequences=True, name="back_all", **more), cls(4, use_bias=False, name="no_bias", **more)])


@case("keras")
def simple_rnn():
    return recurrent(layers.SimpleRNN)


@case("h5")
def lstm():
    return recurrent(layers.LSTM)


@case("keras")
def gru():
    return recurrent(layers.GRU)


@case("h5")
def gru_before():
    return recurrent(layers.GRU, reset_after=False)


@case("keras")
def recurrent_functions():
    x = Input((5, 3), name="x")
    return many(x, [layers.LSTM(4, activation="relu", recurrent_activation="hard_sigmoid", name="a"), layers.GRU(4, activation="softsign", recurrent_activation="hard_sigmoid", name="b"),
                    layers.SimpleRNN(4, activation="linear", name="c"), layers.SimpleRNN(4, activation="relu", name="d"), layers.LSTM(4, activation="elu", recurrent_activation="sigmoid", name="e"),
                    layers.GRU(4, activation="leaky_relu", name="f"), layers.LSTM(4, activation="softplus", name="g")])


@case("keras")
def recurrent_states():
    x, h, c = Input((None, 3), name="x"), Input((4,), name="h"), Input((4,), name="c")
    a = layers.LSTM(4, return_state=True, return_sequences=True, name="a")(x)
    b = layers.LSTM(4, return_state=True, name="b")(x, initial_state=[h, c])
    d = layers.GRU(4, return_state=True, name="d")(x, initial_state=h)
    e = layers.SimpleRNN(4, name="e")(x, initial_state=h)
    return Model([x, h, c], [*a, *b, *d, e]), {"x": np.random.default_rng(3).normal(0, 1, (2, 6, 3))}


@case("keras")
def bidirectional():
    x = Input((5, 3), name="x")
    return many(x, [layers.Bidirectional(layers.LSTM(4), name="concat"), layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="all"), layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="sum", name="sum"),
                    layers.Bidirectional(layers.SimpleRNN(4), merge_mode="mul", name="mul"), layers.Bidirectional(layers.GRU(4), merge_mode="ave", name="ave"),
                    layers.Bidirectional(layers.LSTM(4, return_sequences=True), backward_layer=layers.LSTM(4, return_sequences=True, go_backwards=True, activation="relu"), name="own")])


@case("keras")
def bidirectional_states():
    x = Input((5, 3), name="x")
    a = layers.Bidirectional(layers.LSTM(4, return_state=True, return_sequences=True), name="a")(x)
    b = layers.Bidirectional(layers.GRU(4), merge_mode=None, name="b")(x)
    return Model(x, [*a, *b])


@case("keras")
def cells():
    x = Input((5, 3), name="x")
    return many(x, [layers.RNN(layers.LSTMCell(4), name="one"), layers.RNN(layers.GRUCell(4), return_sequences=True, name="gru"),
                    layers.RNN([layers.SimpleRNNCell(4), layers.GRUCell(3), layers.LSTMCell(2)], return_sequences=True, name="stack"),
                    layers.RNN([layers.SimpleRNNCell(4), layers.LSTMCell(2)], go_backwards=True, name="stack_back")])


TOKENS = np.array([[1, 2, 3, 0, 0, 0], [0, 0, 4, 5, 6, 1], [2, 0, 3, 0, 1, 0], [1, 2, 3, 4, 5, 6]])


@case("keras")
def masks():
    x = Input((6,), dtype="int32", name="x")
    e = layers.Embedding(7, 3, mask_zero=True, name="e")(x)
    return Model(x, [layers.LSTM(4, name="last")(e), layers.LSTM(4, return_sequences=True, name="all")(e), layers.GRU(4, go_backwards=True, name="back")(e), layers.GRU(4, go_backwards=True, return_sequences=True, name="back_all")(e),
                     layers.SimpleRNN(4, name="simple")(e), layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(e), layers.Bidirectional(layers.GRU(4), name="both_last")(e),
                     layers.GlobalAveragePooling1D(name="mean")(e), layers.LSTM(3, name="second")(layers.Dropout(0.5)(layers.LSTM(4, return_sequences=True)(e))),
                     layers.TimeDistributed(layers.Dense(2), name="each")(e)]), {"x": TOKENS}


@case("keras")
def masking():
    x = Input((6, 3), name="x")
    m = layers.Masking(0.0, name="m")(x)
    v = np.random.default_rng(4).normal(0, 1, (4, 6, 3)) * (TOKENS > 0)[:, :, None]
    d = layers.Dense(3, activation="tanh", name="d")(m)
    return Model(x, [m, layers.LSTM(4, name="a")(d), layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], return_sequences=True, name="b")(m), layers.GRU(2, name="c")(layers.Add(name="sum")([m, d])),
                     layers.GRU(2, name="f")(layers.Concatenate(name="cat")([m, d])), layers.LSTM(2, return_sequences=True, name="z")(m)]), {"x": v}


@case("keras")
def attention():
    q, v, k = Input((4, 3), name="q"), Input((5, 3), name="v"), Input((5, 3), name="k")
    att = layers.Attention
    return Model([q, v, k], [att(name="plain")([q, v]), att(use_scale=True, name="scaled")([q, v, k]), att(score_mode="concat", use_scale=True, name="concat")([q, v, k]), att(score_mode="concat", name="concat_plain")([q, v]),
                             layers.AdditiveAttention(name="additive")([q, v, k]), layers.AdditiveAttention(use_scale=False, name="additive_plain")([q, v]), att(name="causal")([v, k], use_causal_mask=True)])


@case("keras")
def attention_masks():
    x = Input((6,), dtype="int32", name="x")
    # Multi-head layers take the mask off what they are given, so that each has its own.
    e, g, h = [layers.Embedding(7, 4, mask_zero=True, name=n)(x) for n in "egh"]
    f = layers.Embedding(7, 4, name="f")(x)
    return Model(x, [layers.Attention(name="a")([e, e]), layers.AdditiveAttention(name="b")([f, e]), layers.MultiHeadAttention(2, 3, name="c")(f, g), layers.MultiHeadAttention(2, 3, name="d")(h, h, use_causal_mask=True)]), {"x": TOKENS}


@case("keras")
def multi_head():
    q, v, k = Input((4, 6), name="q"), Input((5, 6), name="v"), Input((5, 6), name="k")
    m = Input((4, 5), dtype="bool", name="m")
    out = [layers.MultiHeadAttention(2, 3, name="self")(q, q), layers.MultiHeadAttention(2, 3, value_dim=4, dropout=0.1, use_bias=False, name="cross")(q, v, k), layers.MultiHeadAttention(3, 2, output_shape=5, name="shaped")(q, v),
           layers.MultiHeadAttention(2, 3, name="causal")(q, q, use_causal_mask=True), layers.MultiHeadAttention(2, 3, name="masked")(q, v, attention_mask=m),
           *layers.MultiHeadAttention(2, 3, name="scores")(q, v, return_attention_scores=True), layers.GroupQueryAttention(3, 4, 2, name="grouped")(q, v)]
    return Model([q, v, k, m], out), {"m": np.random.default_rng(2).integers(0, 2, (2, 4, 5)).astype(bool) | (np.arange(5) == 2)}


@case("keras")
def time_distributed():
    x = Input((3, 6, 6, 2), name="x")
    inner = Sequential([layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(4)], name="inner")
    return many(x, [layers.TimeDistributed(layers.Conv2D(2, 3), name="conv"), layers.TimeDistributed(layers.Flatten(), name="flat"), layers.TimeDistributed(inner, name="model")])


def nested_models():
    small = Sequential([Input((4,)), layers.Dense(3, activation="relu"), layers.BatchNormalization(), layers.Dense(2)], name="small")
    a = Input((4,), name="p")
    b = Input((2,), name="r")
    h = layers.Concatenate()([small(a), b])
    two = Model([a, b], [layers.Dense(3, name="d1")(h), layers.Dense(2, name="d2")(h)], name="two")
    x, y, z = Input((4,), name="x"), Input((4,), name="y"), Input((2,), name="z")
    shared = layers.Dense(4, name="shared")
    u, v = two([shared(x), z])
    w, _ = two([shared(y), z])
    frozen = layers.BatchNormalization(name="frozen", trainable=False)
    return Model([x, y, z], [layers.Add(name="sum")([u, w]), v, small(x), frozen(small(y))])


@case("h5")
def nested():
    return nested_models()


@case("keras")
def nested_archive():
    return nested_models()


@case("json")
def nested_json():
    return nested_models()


@case("h5")
def nested_frozen():
    base = Sequential([Input((6, 6, 3)), layers.Conv2D(4, 3, name="c1"), layers.BatchNormalization(name="b1"), layers.Conv2D(2, 3, name="c2"), layers.BatchNormalization(name="b2")], name="base")
    base.layers[1].trainable = False
    base.layers[2].trainable = False
    return Sequential([Input((6, 6, 3), name="x"), base, layers.Flatten(), layers.Dense(3, name="out")])


@case("keras", windows=True)
def sequential_windows():
    """As Keras 2.14 wrote it on Windows: a group's name with a backslash in place of two groups."""
    return Sequential([Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, activation="relu"), layers.Dropout(0.25), layers.Conv2D(3, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(5, name="out")])


@case("keras")
def sequential():
    return Sequential([Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Dropout(0.25), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(5, activation="softmax", name="out")])


def named(tensors):
    """Gives each function's result a layer's name, by which it is compared."""
    return [layers.Identity(name=f"o{i}_{t._keras_history.operation.__class__.__name__.lower()}")(t) for i, t in enumerate(tensors)]


@case("keras")
def functions_binary():
    x, y = Input((4, 6), name="x"), Input((4, 6), name="y")
    p = ops.abs(x) + 0.5
    return Model([x, y], named([ops.add(x, 3.0), 2.0 - x, x * np.arange(6).astype("float32"), x / p, ops.divide(x, p), p**2, ops.power(p, y), ops.maximum(x, 0.1), ops.minimum(x, y), ops.matmul(x, ops.transpose(y, (0, 2, 1))),
                                ops.where(ops.logical_and(x > 0, y <= 0.5), x, y), ops.where(ops.logical_or(x >= 0.2, y < 0), x, 0.0), ops.where(ops.logical_not(ops.equal(ops.cast(x, "int32"), 0)), x, y),
                                ops.einsum("abc,abd->acd", x, y), ops.cast(ops.not_equal(ops.cast(x, "int32"), ops.cast(y, "int32")), "float32"), ops.add(x, ops.ones_like(y)), ops.subtract(x, ops.zeros_like(y))]))


@case("keras")
def functions_unary():
    x = Input((4, 6), name="x")
    p = ops.absolute(x) + 0.5
    return Model(x, named([ops.negative(x), ops.exp(x), ops.log(p), ops.sqrt(p), ops.rsqrt(p), ops.square(x), ops.sin(x), ops.cos(x), ops.tanh(x), ops.sign(x), ops.floor(x), ops.ceil(x), ops.erf(x), ops.reciprocal(p),
                           ops.relu(x), ops.relu6(x), ops.sigmoid(x), ops.softplus(x), ops.softsign(x), ops.selu(x), ops.silu(x), ops.log_sigmoid(x), ops.hard_sigmoid(x), ops.hard_silu(x), ops.hard_tanh(x), ops.tanh_shrink(x),
                           ops.squareplus(x), ops.gelu(x), ops.gelu(x, approximate=False), ops.leaky_relu(x, 0.1), ops.elu(x, 0.7), ops.softmax(x, axis=1), ops.log_softmax(x), ops.normalize(x, axis=1), ops.clip(x, -0.5, 0.7)]))


@case("h5")
def functions_reduce():
    x = Input((4, 6), name="x")
    return Model(x, named([ops.mean(x, axis=1), ops.sum(x, axis=-1, keepdims=True), ops.max(x, axis=[1, 2]), ops.min(x, axis=2), ops.prod(x, axis=1), ops.logsumexp(x, axis=-1), ops.var(x, axis=1), ops.std(x, axis=-1, keepdims=True), 
                           ops.cast(ops.argmax(x, axis=-1), "float32"), ops.cast(ops.argmin(x, axis=1), "float32"), ops.cast(ops.any(x > 1, axis=-1), "float32"), ops.cast(ops.all(x > -1, axis=1), "float32"), ops.one_hot(ops.argmax(x, axis=-1), 6)]))


@case("keras")
def functions_shape():
    x, y = Input((4, 6), name="x"), Input((4, 6), name="y")
    a, b = ops.split(x, 2, axis=1)
    c, d, e = ops.split(x, [1, 3], axis=-1)
    return Model([x, y], named([x[:, 1], x[:, 1:3, ::2], x[..., 0], x[:, -1, None], x[:, ::-1], ops.reshape(x, (-1, 24)), ops.reshape(x, (-1, 2, 2, 6)), a, b, c, d, e, ops.stack([x, y], axis=1), ops.stack([x, y], axis=-1), ops.concatenate([x, y], axis=2),
                                ops.pad(x, ((0, 0), (1, 2), (0, 0))), ops.pad(x, ((0, 0), (1, 1), (2, 0)), constant_values=1.5), ops.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect"), ops.take(x, 1, axis=1), ops.take(x, [2, 0, 1], axis=2),
                                ops.swapaxes(x, 1, 2), ops.repeat(x, 2, axis=1), ops.tile(x, (1, 2, 1)), ops.flip(x, axis=1), ops.squeeze(ops.expand_dims(x, 1), axis=1), ops.expand_dims(y, -1), ops.transpose(x, (0, 2, 1))]))


@case("keras")
def einsum_dense():
    x = Input((4, 6), name="x")
    return many(x, [layers.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d", activation="relu", name="plain"), layers.EinsumDense("...x,xy->...y", output_shape=3, bias_axes="y", name="dots"), layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), name="heads"),
                    layers.EinsumDense("abc,bcd->ad", output_shape=3, name="both")])


@case("keras")
def random_more():
    x = Input((6, 6, 3), name="x")
    names = ["RandomShear", "RandomHue", "RandomSaturation", "RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGrayscale", "RandomPosterization", "RandomPerspective", "RandomErasing", "RandomGaussianBlur", "RandomInvert",
             "RandomElasticTransform", "RandAugment", "AugMix", "CutMix", "MixUp"]
    given = {"RandomShear": {"x_factor": 0.1}, "RandomHue": {"factor": 0.1}, "RandomSaturation": {"factor": 0.1}, "RandomSharpness": {"factor": 0.1}, "RandomColorDegeneration": {"factor": 0.1}, "RandomPosterization": {"factor": 4}}
    made = []
    for n in names:
        try:
            l = getattr(layers, n)(name=n.lower(), **given.get(n, {}))
            made.append(l(x))
        except Exception as e:
            print(n, "left out:", str(e)[:200])
    return Model(x, made)


if __name__ == "__main__":
    for name, (f, form, settings) in CASES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            write(name, f, form, settings)
        except Exception as e:
            print(name, "FAILED:", type(e).__name__, str(e)[:600])
            if len(sys.argv) > 1:
                raise
