"""Writes the operator cases of TensorFlow 1: frozen graphs with loops and
conditions as nodes, recurrent cells, SavedModels and checkpoints.

    python make_tf1.py [NAME ...]

run beside this file, with tensorflow 1.15.0 (Python 3.7). Without names it writes
all cases, from fixed seeds.
"""
import io
import json
import os
import shutil
import sys
import warnings
import zipfile

warnings.filterwarnings("ignore")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import graph_util

tf.logging.set_verbosity(tf.logging.ERROR)
tf.disable_control_flow_v2()
here = os.path.dirname(os.path.abspath(__file__))
CASES = {}


def npz(path, ins, outs):
    """An archive whose entries have slashes in their names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for side, arrays in (("in", ins), ("out", outs)):
            for name, a in arrays.items():
                b = io.BytesIO()
                np.lib.format.write_array(b, np.asarray(a), allow_pickle=False)
                z.writestr(zipfile.ZipInfo(side + "/" + name + ".npy"), b.getvalue())


def rnd(*shape, **kw):
    r = np.random.RandomState(kw.get("seed", 0) + sum(shape))
    return (r.rand(*shape) * 2 - 1).astype(np.float32)


def case(form="frozen", free=True, feed=None, **settings):
    def put(f):
        CASES[f.__name__] = (f, form, free, feed or {}, settings)
        return f
    return put


def write(name):
    f, form, free, feed, settings = CASES[name]
    folder = os.path.join(here, "tf1_" + name)
    shutil.rmtree(folder, ignore_errors=True)
    tf.reset_default_graph()
    tf.set_random_seed(3)
    x = rnd(2, 3, 4) if f.__code__.co_varnames[0] == "steps" else rnd(2, 3)
    shape = ([None] if free else [x.shape[0]]) + list(x.shape[1:])
    if f.__code__.co_varnames[0] == "picture":
        x, shape = rnd(2, 6, 7, 2), [None, None, None, 2]
    p = tf.placeholder(tf.float32, shape, name="x")
    y = tf.identity(f(p), name="y")
    with tf.Session() as s:
        s.run(tf.global_variables_initializer())
        for v in tf.global_variables():
            if v.shape.ndims and "moving" not in v.name and v.dtype.is_floating:
                v.load(rnd(*v.shape.as_list(), seed=5), s)
        feeds = {p: x}
        feeds.update({k + ":0": v for k, v in feed.items()})
        want = s.run(y, feeds)
        if form == "frozen":
            os.makedirs(folder)
            g = graph_util.convert_variables_to_constants(s, s.graph_def, ["y"])
            for n in g.node:
                n.attr.pop("_output_shapes", None)
            with open(os.path.join(folder, "graph.pb"), "wb") as w:
                w.write(g.SerializeToString())
        elif form == "text":
            os.makedirs(folder)
            g = graph_util.convert_variables_to_constants(s, s.graph_def, ["y"])
            tf.io.write_graph(g, folder, "graph.pbtxt")
        elif form == "checkpoint":
            tf.train.Saver().save(s, os.path.join(folder, "model.ckpt"))
            os.remove(os.path.join(folder, "checkpoint"))
            settings = dict(settings, outputs=["y"])
        else:
            tf.saved_model.simple_save(s, folder, {"x": p}, {"y": y})
    npz(folder + ".npz", {"x": x}, {"y": want})
    if os.path.exists(folder + ".json"):
        os.remove(folder + ".json")
    if settings:
        with open(folder + ".json", "w") as w:
            json.dump(settings, w)
            w.write("\n")


def dense(x, name, n=4, **kw):
    w = tf.get_variable(name + "/w", [int(x.shape[-1]), n], **kw)
    return tf.nn.relu(tf.matmul(x, w) + tf.get_variable(name + "/b", [n], **kw))


@case("checkpoint")
def checkpoint(x):
    return tf.nn.softmax(dense(dense(x, "a"), "b"))


@case("checkpoint")
def checkpoint_training(x):
    y = dense(x, "a")
    loss = tf.reduce_mean(tf.square(y))
    tf.train.AdamOptimizer().minimize(loss)
    return y


@case("saved")
def saved(x):
    return dense(x, "a")


@case("saved")
def saved_resource(x):
    return dense(x, "a", use_resource=True)


@case("text")
def text(x):
    return dense(x, "a") + tf.constant([[1.5, -2, 3, 1e-7]])


@case()
def cond_open(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1, lambda: x * 2)


CASES["cond_open"] = (CASES["cond_open"][0], "frozen", False, {}, {})


@case(feed={"training": False})
def cond_training(x):
    training = tf.placeholder(tf.bool, [], name="training")
    y = tf.layers.dropout(dense(x, "a"), 0.5, training=training)
    y = tf.layers.batch_normalization(y, training=training, fused=False)
    return tf.cond(training, lambda: tf.py_func(lambda a: a, [y], tf.float32), lambda: y * 2)


@case()
def cond_default(x):
    training = tf.placeholder_with_default(False, [], name="training")
    y = tf.reshape(x, [-1, 1, 3, 1])
    y = tf.layers.batch_normalization(y, training=training)
    y = tf.cond(training, lambda: tf.cond(training, lambda: y, lambda: y * 3), lambda: tf.cond(tf.logical_not(training), lambda: y + 1, lambda: tf.zeros_like(y)))
    return tf.reshape(y, [-1, 3])


@case()
def dropout_keep(x):
    keep = tf.placeholder_with_default(tf.constant(1.0), [], name="keep")
    return tf.nn.dropout(dense(x, "a"), keep_prob=keep)


@case(free=False)
def where_open(x):
    return tf.where(tf.reduce_sum(x, 1) > 0, x, -x)


@case()
def loop(x):
    return tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s * 1.5 + x), (0, x))[1]


@case()
def loop_nested(x):
    def outer(i, s):
        return i + 1, tf.while_loop(lambda j, t: j < i, lambda j, t: (j + 1, t + x), (0, s))[1]
    return tf.while_loop(lambda i, s: i < 3, outer, (0, x))[1]


@case()
def loop_cond(x):
    def body(i, s):
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: s + x, lambda: s * 2)
    return tf.while_loop(lambda i, s: i < 4, body, (0, x))[1]


@case(single="the batch is the second axis")
def arrays(x):
    each = tf.TensorArray(tf.float32, 3, clear_after_read=False).unstack(tf.transpose(x))
    out = tf.TensorArray(tf.float32, 3, clear_after_read=False)
    step = lambda i, s, o: (i + 1, s + each.read(i), o.write(i, s * each.read(i)))
    _, s, out = tf.while_loop(lambda i, *_: i < 3, step, (0, tf.zeros_like(x[:, 0]), out))
    return out.stack() + out.gather([2, 1, 0]) + s + tf.cast(out.size(), tf.float32)


@case(single="items are joined along the batch")
def arrays_concat(x):
    out = tf.TensorArray(tf.float32, 3, clear_after_read=False)
    _, out = tf.while_loop(lambda i, o: i < 3, lambda i, o: (i + 1, o.write(i, x)), (0, out))
    return out.concat()


@case()
def map_fn(x):
    return tf.map_fn(lambda r: r * 2, x)


for cell in ("BasicRNNCell", "BasicLSTMCell", "LSTMCell", "GRUCell"):
    def dynamic(steps, cell=cell):
        return tf.nn.dynamic_rnn(getattr(tf.nn.rnn_cell, cell)(5), steps, dtype=tf.float32)[0]

    def lengths(steps, cell=cell):
        return tf.nn.dynamic_rnn(getattr(tf.nn.rnn_cell, cell)(5), steps, sequence_length=tf.fill(tf.shape(steps)[:1], 2), dtype=tf.float32)[0]

    def static(steps, cell=cell):
        return tf.nn.static_rnn(getattr(tf.nn.rnn_cell, cell)(5), tf.unstack(steps, axis=1), dtype=tf.float32)[0][-1]

    short = cell.replace("Cell", "").lower()
    CASES["dynamic_" + short] = (dynamic, "frozen", True, {}, {})
    CASES["static_" + short] = (static, "frozen", True, {}, {})
    if cell == "LSTMCell":
        CASES["dynamic_lengths"] = (lengths, "frozen", True, {}, {})


@case()
def bidirectional(steps):
    c = tf.nn.rnn_cell.BasicLSTMCell
    out, _ = tf.nn.bidirectional_dynamic_rnn(c(4), c(4), steps, dtype=tf.float32)
    return tf.concat(out, 2)


@case()
def block_lstm_cell(steps):
    cell = tf.contrib.rnn.LSTMBlockCell(4, use_peephole=True)
    return tf.nn.static_rnn(cell, tf.unstack(steps, axis=1), dtype=tf.float32)[0][-1]


@case()
def block_gru_cell(steps):
    return tf.nn.static_rnn(tf.contrib.rnn.GRUBlockCellV2(4), tf.unstack(steps, axis=1), dtype=tf.float32)[0][-1]


@case(single="the batch is the second axis")
def block_lstm(steps):
    return tf.contrib.rnn.LSTMBlockFusedCell(4)(tf.transpose(steps, [1, 0, 2]), dtype=tf.float32)[0]


@case()
def atrous_any_size(picture):
    return tf.nn.atrous_conv2d(picture, tf.get_variable("w", [3, 3, 2, 3]), 2, "SAME")


@case()
def atrous_any_size_valid(picture):
    return tf.nn.bias_add(tf.nn.atrous_conv2d(picture, tf.get_variable("w", [3, 2, 2, 3]), 2, "VALID"), tf.get_variable("b", [3]))


if __name__ == "__main__":
    failed = 0
    for case_name in sys.argv[1:] or CASES:
        try:
            write(case_name)
        except Exception as e:
            failed += 1
            print(case_name, type(e).__name__, str(e)[:500], file=sys.stderr)
    print(len(sys.argv[1:] or CASES) - failed, "cases")
    sys.exit(failed > 0)
