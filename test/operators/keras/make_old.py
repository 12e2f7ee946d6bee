"""Writes the cases of this folder that Keras 1 and 2 make, on Theano.

Keras 1.2.2 on Python 3.6 for k1_*, Keras 2.2.4 on Python 3.7 for k2_*, each with
'Theano==1.0.5' 'h5py<3' 'numpy<1.17' 'scipy<1.6':

    python make_old.py
"""

import io
import json
import os
import shutil
import sys
import zipfile

os.environ["KERAS_BACKEND"] = "theano"
os.environ.setdefault("THEANO_FLAGS", "cxx=,optimizer=None")  # with a compiler it takes minutes

import h5py
import keras
import numpy as np
import theano.ifelse
from keras.layers import *
from keras.models import Model, Sequential

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {}
ONE = keras.__version__.startswith("1.")


def case(version, form="h5"):
    def add(f):
        if keras.__version__.startswith(version):
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
    rng = np.random.RandomState(len(name) + 3)
    made = f()
    model, given = made if isinstance(made, tuple) else (made, {})
    model.set_weights([np.abs(rng.normal(0, 0.5, w.shape)) + 0.5 if "std" in n or "variance" in n else rng.normal(0, 0.5, w.shape) for n, w in zip([w.name for w in model.weights], model.get_weights())])
    tensors = list(model.inputs)
    names = [model.layers[0].name + "_input"] if isinstance(model, Sequential) and len(tensors) == 1 else ["da_input", "db_input"] if isinstance(model, Sequential) else list(model.input_names)
    inputs = {}
    for n, t in zip(names, tensors):
        shape = [2 if d is None else d for d in t._keras_shape]
        inputs[n] = np.asarray(given.get(n, rng.normal(0, 1, shape)), np.int32 if str(t.dtype).startswith("int") else np.float32)
    outs = model.predict([inputs[n] for n in names] if len(names) > 1 else inputs[names[0]])
    outs = outs if isinstance(outs, list) else [outs]
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if form == "json":
        with open(os.path.join(folder, "net.json"), "w") as o:
            o.write(model.to_json())
        model.save_weights(os.path.join(folder, "net.h5"))
    else:
        model.save(os.path.join(folder, "model.h5"), include_optimizer=False) if not ONE else model.save(os.path.join(folder, "model.h5"))
    if ONE and not name.startswith(("k1_pictures_th", "k1_sequential", "k1_volumes")):
        # Files of Keras 1 do not say on which backend they were made, as those of Keras 2 do.
        with h5py.File(os.path.join(folder, "net.h5" if form == "json" else "model.h5")) as h:
            h.attrs["backend"] = np.bytes_("theano")
    arrays = {"in/" + n: a for n, a in inputs.items()}
    outputs = [model.layers[-1].name] if isinstance(model, Sequential) else model.output_names
    assert len(set(outputs)) == len(outputs), outputs
    arrays.update({"out/" + n: np.asarray(a, np.float32) for n, a in zip(outputs, outs)})
    save_arrays(folder + ".npz", arrays)


def many(x, makers):
    m = (lambda i, o: Model(input=i, output=o)) if ONE else (lambda i, o: Model(inputs=i, outputs=o))
    return m(x, [f(x) for f in makers])


def model(i, o):
    return Model(input=i, output=o) if ONE else Model(inputs=i, outputs=o)


def pictures1(order):
    x = Input((3, 7, 8) if order == "th" else (7, 8, 3), name="x")
    o = {"dim_ordering": order}
    axis = 1 if order == "th" else -1
    return many(x, [Convolution2D(4, 2, 3, name="valid", **o), Convolution2D(4, 3, 3, border_mode="same", activation="relu", name="same", **o), Convolution2D(4, 3, 3, subsample=(2, 2), bias=False, name="strided", **o),
                    Convolution2D(4, 3, 3, subsample=(2, 2), border_mode="same", name="strided_same", **o), Convolution2D(2, 4, 4, border_mode="same", name="even", **o), AtrousConvolution2D(3, 2, 2, atrous_rate=(2, 2), name="atrous", **o),
                    MaxPooling2D((2, 2), name="max", **o), MaxPooling2D((3, 3), strides=(2, 2), name="max_strided", **o), AveragePooling2D((2, 2), name="mean", **o), GlobalMaxPooling2D(name="gmax", **o), GlobalAveragePooling2D(name="gmean", **o),
                    MaxPooling2D((3, 3), strides=(2, 2), border_mode="same", name="max_same", **o), AveragePooling2D((2, 2), strides=(2, 2), border_mode="same", name="mean_same", **o),
                    ZeroPadding2D((1, 2), name="pad", **o), ZeroPadding2D((1, 0, 2, 1), name="pad_four", **o), Cropping2D(((1, 0), (2, 1)), name="crop", **o), UpSampling2D((2, 3), name="up", **o), SpatialDropout2D(0.5, name="drop", **o),
                    BatchNormalization(axis=axis, name="norm"), Flatten(name="flat")])


@case("1.")
def k1_pictures_th():
    return pictures1("th")


@case("1.", "json")
def k1_pictures_tf():
    return pictures1("tf")


@case("1.")
def k1_back():
    x = Input((3, 4, 5), name="x")
    return many(x, [Deconvolution2D(2, 3, 3, output_shape=(None, 2, 6, 7), dim_ordering="th", name="back"), Deconvolution2D(2, 3, 3, output_shape=(None, 2, 9, 11), subsample=(2, 2), dim_ordering="th", name="back_strided")])


@case("1.")
def k1_steps():
    x = Input((9, 3), name="x")
    return many(x, [Convolution1D(4, 3, name="valid"), Convolution1D(4, 3, border_mode="same", activation="tanh", subsample_length=2, name="same"), AtrousConvolution1D(4, 2, atrous_rate=2, name="atrous"), MaxPooling1D(2, name="max"), AveragePooling1D(3, stride=2, name="mean"),
                    GlobalMaxPooling1D(name="gmax"), GlobalAveragePooling1D(name="gmean"), ZeroPadding1D(2, name="pad"), Cropping1D((1, 2), name="crop"), UpSampling1D(2, name="up"), SpatialDropout1D(0.5, name="drop"),
                    TimeDistributed(Dense(2), name="each"), Permute((2, 1), name="permute"), Reshape((3, 9), name="reshape")])


@case("1.")
def k1_volumes():
    x = Input((2, 4, 5, 6), name="x")
    o = {"dim_ordering": "th"}
    return many(x, [MaxPooling3D((2, 2, 2), name="max", **o), AveragePooling3D((2, 2, 2), name="mean", **o), ZeroPadding3D((1, 0, 1), name="pad", **o), UpSampling3D((2, 1, 2), name="up", **o), Convolution3D(3, 2, 2, 2, name="conv", **o)])


@case("1.")
def k1_recurrent():
    x = Input((5, 3), name="x")
    return many(x, [LSTM(4, name="lstm"), LSTM(4, consume_less="gpu", return_sequences=True, name="lstm_gpu"), LSTM(4, go_backwards=True, inner_activation="sigmoid", name="lstm_back"), GRU(4, return_sequences=True, name="gru"), GRU(4, consume_less="gpu", name="gru_gpu"),
                    SimpleRNN(4, name="simple"), Bidirectional(LSTM(4, return_sequences=True), name="both"), Bidirectional(GRU(4), merge_mode="sum", name="both_sum")])


@case("1.")
def k1_masks():
    x = Input((6,), dtype="int32", name="x")
    e = Embedding(7, 3, mask_zero=True, name="e")(x)
    return model(x, [LSTM(4, name="lstm")(e), GRU(4, return_sequences=True, name="gru")(e)]), {"x": np.array([[1, 2, 3, 0, 0, 0], [0, 0, 4, 5, 6, 1]])}


@case("1.")
def k1_vectors():
    x = Input((5,), name="x")
    return many(x, [Dense(4, activation="relu", name="dense"), Dense(4, bias=False, activation="hard_sigmoid", name="hard"), Activation("softsign", name="act"), LeakyReLU(0.2, name="leaky"), PReLU(name="prelu"), ELU(0.5, name="elu"), ThresholdedReLU(0.3, name="thr"),
                    Dropout(0.5, name="drop"), GaussianNoise(0.1, name="noise"), GaussianDropout(0.1, name="gdrop"), RepeatVector(3, name="repeat"), BatchNormalization(name="norm"),
                    MaxoutDense(4, nb_feature=3, name="maxout"), Highway(name="highway", activation="tanh")])


@case("1.")
def k1_merges():
    a, b = Input((3, 4), name="a"), Input((3, 4), name="b")
    return model([a, b], [merge([a, b], mode=m, name="m_" + m) for m in ["sum", "mul", "max", "ave", "concat"]] + [merge([a, b], mode="concat", concat_axis=1, name="m_steps"), merge([a, b], mode="dot", dot_axes=2, name="m_dot")])


@case("1.")
def k1_branches():
    a = Sequential([Dense(4, input_dim=3, name="da")], name="left")
    b = Sequential([Dense(4, input_dim=2, activation="tanh", name="db")], name="right")
    return Sequential([Merge([a, b], mode="concat", name="both"), Dense(2, name="out")])


@case("1.")
def k1_sequential():
    return Sequential([Convolution2D(4, 3, 3, dim_ordering="th", activation="relu", input_shape=(1, 8, 8), name="c1"), MaxPooling2D((2, 2), dim_ordering="th"), Dropout(0.2), Flatten(), Dense(3, activation="softmax", name="out")])


def pictures2(order):
    first = order == "channels_first"
    x = Input((3, 7, 8) if first else (7, 8, 3), name="x")
    o = {"data_format": order}
    return many(x, [Conv2D(4, (2, 3), name="valid", **o), Conv2D(4, 3, padding="same", activation="relu", name="same", **o), Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="strided", **o), Conv2D(2, 4, padding="same", name="even", **o),
                    Conv2D(3, 2, dilation_rate=2, name="dilated", **o), Conv2DTranspose(2, 3, strides=2, name="back", **o), Conv2DTranspose(2, 3, padding="same", name="back_same", **o), DepthwiseConv2D(3, name="deep", **o), SeparableConv2D(4, 3, name="sep", **o),
                    MaxPooling2D(3, strides=2, padding="same", name="max", **o), AveragePooling2D(2, padding="same", name="mean", **o), GlobalAveragePooling2D(name="gmean", **o), UpSampling2D(2, name="up", **o), Flatten(name="flat", **o),
                    BatchNormalization(axis=1 if first else -1, name="norm"), Softmax(axis=1 if first else -1, name="soft"), ReLU(max_value=0.5, name="relu"), PReLU(shared_axes=[2, 3] if first else [1, 2], name="prelu")])


@case("2.")
def k2_pictures_first():
    return pictures2("channels_first")


@case("2.", "json")
def k2_pictures_last():
    return pictures2("channels_last")


@case("2.")
def k2_recurrent():
    x = Input((5, 3), name="x")
    return many(x, [LSTM(4, name="lstm"), LSTM(4, implementation=2, recurrent_activation="sigmoid", return_sequences=True, name="lstm_two"), GRU(4, name="gru"), GRU(4, reset_after=True, return_sequences=True, name="gru_after"), SimpleRNN(4, go_backwards=True, name="simple"),
                    Bidirectional(GRU(4, return_sequences=True), name="both"), TimeDistributed(Dense(2), name="each"), Conv1D(3, 2, padding="causal", name="causal"), Activation("hard_sigmoid", name="hard")])


@case("2.")
def k2_masks():
    x, y = Input((6,), name="x"), Input((6, 3), name="y")
    e, m = Embedding(7, 3, mask_zero=True, name="e")(x), Masking(name="m")(y)
    return model([x, y], [LSTM(4, return_sequences=True, name="lstm")(e), Bidirectional(GRU(4), name="both")(m), TimeDistributed(Dense(2), name="each")(m), GRU(2, name="sum")(add([e, m]))]), {"x": np.array([[1, 2, 3, 0, 0, 0], [0, 0, 4, 5, 6, 1]]),
                 "y": np.random.RandomState(3).normal(0, 1, (2, 6, 3)) * np.array([[1, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 1]])[:, :, None]}


@case("2.")
def k2_merges():
    a, b = Input((3, 4), name="a"), Input((3, 4), name="b")
    return model([a, b], [Add(name="add")([a, b]), Subtract(name="sub")([a, b]), Multiply(name="mul")([a, b]), Average(name="mean")([a, b]), Maximum(name="max")([a, b]), Minimum(name="min")([a, b]), Concatenate(axis=1, name="cat")([a, b]), Dot(axes=2, name="dot")([a, b]),
                          Dot(axes=2, normalize=True, name="cos")([a, b])])


@case("2.")
def k2_nested():
    base = Sequential([Conv2D(4, 3, input_shape=(6, 6, 3), data_format="channels_last", name="c1"), BatchNormalization(name="b1"), Conv2D(2, 3, data_format="channels_last", name="c2"), BatchNormalization(name="b2")], name="base")
    base.layers[0].trainable = False
    p, q = Input((6, 6, 3), name="p"), Input((6, 6, 3), name="q")
    both = model([p, q], [add([base(p), base(q)], name="s"), base(p)])
    both.name = "both"
    x, y = Input((6, 6, 3), name="x"), Input((6, 6, 3), name="y")
    u, v = both([x, y])
    w, _ = both([y, y])
    return model([x, y], [Flatten(name="u")(u), Flatten(name="v")(v), Flatten(name="w")(w), Flatten(name="b")(base(x))])


@case("2.", "json")
def k2_sequential():
    return Sequential([Dense(4, input_shape=(5,), activation="elu"), Sequential([Dense(3, input_shape=(4,)), LeakyReLU()], name="inner"), Dense(2, activation="softmax", name="out")])


if __name__ == "__main__":
    for name, (f, form) in CASES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            write(name, f, form)
            print(name)
        except Exception as e:
            print(name, "FAILED:", type(e).__name__, str(e)[:700])
