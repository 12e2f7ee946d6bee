"""Writes the operator cases of TensorFlow: graphs of a few nodes with arrays that
TensorFlow itself computes.

    python make.py [NAME ...]

run beside this file, with tensorflow-cpu 2.21.0 and keras 3.15.1 (Python 3.12).
Without names it writes all cases, from fixed seeds. make_tf1.py writes those of
TensorFlow 1.
"""
import io
import json
import os
import shutil
import sys
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

raw = tf.raw_ops
here = os.path.dirname(os.path.abspath(__file__))
CASES = {}


def npz(path, ins, outs):
    """An archive whose entries have slashes in their names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for side, arrays in (("in", ins), ("out", outs)):
            for name, a in arrays.items():
                b = io.BytesIO()
                np.lib.format.write_array(b, np.asarray(a), allow_pickle=False)
                z.writestr(zipfile.ZipInfo(f"{side}/{name}.npy"), b.getvalue())


def rnd(*shape, seed=0, lo=-1.0, hi=1.0):
    r = np.random.RandomState(seed + sum(shape))
    return (r.rand(*shape) * (hi - lo) + lo).astype(np.float32)


def case(name, f, *inputs, free=True, form="graph", keep=(), **settings):
    """A case of a function of arrays; free leaves the first size of each open. A
    saved one is a SavedModel with the variables in keep; in a lowered one loops and
    conditions are nodes, as in TensorFlow 1."""
    CASES[name] = (f, inputs, free, form, keep, settings)


def save(folder, fn, keep):
    module = tf.Module()
    module.keep = list(keep)
    tf.saved_model.save(module, folder, signatures=fn)
    for extra in ("fingerprint.pb", "assets"):
        path = os.path.join(folder, extra)
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.exists(path):
            os.remove(path)


def write(name):
    f, inputs, free, form, keep, settings = CASES[name]
    inputs = [np.asarray(i) for i in inputs]
    specs = [tf.TensorSpec([None, *i.shape[1:]] if free and i.ndim else i.shape, i.dtype, name=f"x{k}") for k, i in enumerate(inputs)]
    if form == "saved":
        fn = tf.function(lambda *a: {"y": f(*a)}, autograph=False).get_concrete_function(*specs)
        folder = os.path.join(here, name)
        shutil.rmtree(folder, ignore_errors=True)
        save(folder, fn, keep)
        out = fn(*[tf.constant(i) for i in inputs])
        npz(os.path.join(here, name + ".npz"), {f"x{k}": i for k, i in enumerate(inputs)}, {"y": out["y"].numpy()})
        return
    fn = tf.function(f, autograph=False).get_concrete_function(*specs)
    frozen = fn
    if fn.graph.variables or form == "lowered":
        frozen = convert_to_constants.convert_variables_to_constants_v2(fn, lower_control_flow=form == "lowered")
    graph = frozen.graph.as_graph_def()
    out = fn(*[tf.constant(i) for i in inputs])
    out = tf.nest.flatten(out)
    folder = os.path.join(here, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for n in graph.node:
        n.attr.pop("_output_shapes", None)
    with open(os.path.join(folder, "graph.pb"), "wb") as w:
        w.write(graph.SerializeToString(deterministic=True))
    names = [t.name.split(":")[0] for t in frozen.outputs]
    assert len(set(names)) == len(names), names
    outs = {n: o.numpy() for n, o in zip(names, out)}
    npz(os.path.join(here, name + ".npz"), {t.name.split(":")[0]: i for t, i in zip(frozen.inputs, inputs)}, outs)
    path = os.path.join(here, name + ".json")
    if os.path.exists(path):
        os.remove(path)
    if settings:
        with open(path, "w") as w:
            json.dump(settings, w)
            w.write("\n")


def main(names):
    failed = 0
    for name in names or CASES:
        try:
            write(name)
        except Exception as e:
            failed += 1
            print(f"{name}: {type(e).__name__}: {str(e)[:600]}", file=sys.stderr)
    print(len(names or CASES) - failed, "cases")
    sys.exit(failed > 0)


import cases_math  # noqa: E402
import cases_nn  # noqa: E402
import cases_shape  # noqa: E402
import cases_flow  # noqa: E402

if __name__ == "__main__":
    for module in (cases_math, cases_nn, cases_shape, cases_flow):
        module.add(case, rnd)
    main(sys.argv[1:])
