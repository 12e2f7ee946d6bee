"""Functions, conditions, loops and lists."""
import numpy as np
import tensorflow as tf

raw = tf.raw_ops


def add(case, rnd):
    x = rnd(2, 3)

    case("identityn", lambda a: raw.IdentityN(input=[a, -a])[1], x)
    case("stopgradient", lambda a: raw.StopGradient(input=a) + raw.PreventGradient(input=a) + raw.CheckNumerics(tensor=a, message="") + raw.Snapshot(input=a), x)
    case("ensureshape", lambda a: raw.EnsureShape(input=a, shape=[None, 3]), x)
    case("placeholderwithdefault", lambda a: a * raw.PlaceholderWithDefault(input=2.0, shape=[]), x)

    @tf.function
    def inner(a):
        return 2 * a + 1

    case("partitionedcall", lambda a: inner(inner(a)), x)
    case("if_open", lambda a: tf.cond(tf.reduce_sum(a) > 0, lambda: a + 1, lambda: a * 2), x, free=False)
    case("if_open_no", lambda a: tf.cond(tf.reduce_sum(a) > 100, lambda: a + 1, lambda: a * 2), x, free=False)
    case("if_known", lambda a: tf.cond(tf.rank(a) > 1, lambda: a + 1, lambda: a[0]), x)
    case("case_known", lambda a: tf.switch_case(tf.rank(a), [lambda: a, lambda: a + 1, lambda: a + 2]), x)
    case("while_tensor", lambda a: tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s * 1.5 + tf.cast(i, tf.float32)), (0, a))[1], x)
    case("while_until", lambda a: tf.while_loop(lambda s: tf.reduce_max(s) < 10, lambda s: (s * 2,), (a + 2,))[0], x, free=False)
    case("while_grows", lambda a: tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, tf.concat([s, a], 1)), (0, a), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])))[1], x)

    def scan(a):
        out = tf.TensorArray(tf.float32, 3)
        each = tf.TensorArray(tf.float32, 3).unstack(tf.transpose(a))
        step = lambda i, s, o: (i + 1, s + each.read(i), o.write(i, s * each.read(i)))
        _, s, out = tf.while_loop(lambda i, *_: i < 3, step, (0, tf.zeros_like(a[:, 0]), out))
        return tf.transpose(out.stack()) + s[:, None]

    case("while_lists", scan, x)

    def reads(a):
        out = tf.TensorArray(tf.float32, 4, clear_after_read=False, element_shape=[3]).write(0, a[0])
        _, out = tf.while_loop(lambda i, o: i < 4, lambda i, o: (i + 1, o.write(i, o.read(i - 1) * 2)), (1, out))
        return out.stack()

    case("while_reads_list", reads, x, free=False)
    case("map_fn", lambda a: tf.map_fn(lambda r: r * 2 + 1, a), x)
    case("unrolled_list", lambda a: tf.TensorArray(tf.float32, 2).write(1, a).write(0, a * 2).stack(), x, single="the batch is the second axis")
    case("list_concat", lambda a: tf.TensorArray(tf.float32, 2).write(1, a).write(0, a * 2).concat(), x, single="items are joined along the batch")
    case("list_gather", lambda a: tf.TensorArray(tf.float32, 3).unstack(tf.transpose(a)).gather([2, 0]), x, single="the batch is the second axis")
    case("list_size", lambda a: a * tf.cast(tf.TensorArray(tf.float32, 3).unstack(tf.transpose(a)).size(), tf.float32), x)

    def pushes(a):
        l = raw.EmptyTensorList(element_shape=tf.constant([-1, 3]), max_num_elements=-1, element_dtype=tf.float32)
        for i in range(3):
            l = raw.TensorListPushBack(input_handle=l, tensor=a * i)
        return raw.TensorListStack(input_handle=l, element_shape=tf.constant([-1, 3]), element_dtype=tf.float32)

    case("pushback", pushes, x, single="the batch is the second axis")

    def nested(a):
        def outer(i, s):
            inner_sum = tf.while_loop(lambda j, t: j < i, lambda j, t: (j + 1, t + a * tf.cast(j, tf.float32)), (0, tf.zeros_like(a)))[1]
            return i + 1, s + inner_sum

        return tf.while_loop(lambda i, s: i < 4, outer, (0, a))[1]

    case("while_nested", nested, x)

    def cond_in_loop(a):
        return tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, tf.cond(i % 2 > 0, lambda: s + a, lambda: s * 2)), (0, a))[1]

    case("while_cond", cond_in_loop, x)
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        tf.keras.utils.set_random_seed(1)
        layer = getattr(tf.keras.layers, kind)(4, return_sequences=kind != "SimpleRNN", go_backwards=kind == "GRU", bias_initializer="uniform")
        layer.build((None, 3, 2))
        case("keras_" + kind.lower(), lambda a, layer=layer: layer(a), rnd(2, 3, 2))
        case("lowered_" + kind.lower(), lambda a, layer=layer: layer(a), rnd(2, 3, 2), form="lowered")
    case("print", lambda a: raw.Print(input=a * 2, data=[a], first_n=0), x)
    case("listlength", lambda a: a * tf.cast(raw.TensorListLength(input_handle=raw.TensorListFromTensor(tensor=tf.transpose(a), element_shape=tf.constant([-1]))), tf.float32), x)
    table = tf.Variable(rnd(6, 3))
    flag = tf.Variable(2.0)
    case("saved_gather", lambda i: raw.ResourceGather(resource=table.handle, indices=i, dtype=tf.float32), np.array([[0, 5], [2, 1]], np.int32), form="saved", keep=[table])
    case("saved_if", lambda a: tf.cond(tf.reduce_sum(a) > 0, lambda: a + flag, lambda: a - flag), x, form="saved", keep=[flag], free=False)
    case("saved_loop", lambda a: tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s * flag), (0, a))[1], x, form="saved", keep=[flag])
    case("lowered_if", lambda a: tf.cond(tf.reduce_sum(a) > 0, lambda: a + flag, lambda: a - flag), x, form="lowered", free=False)
    case("lowered_case", lambda a: tf.switch_case(tf.cast(tf.reduce_sum(a) * 0, tf.int32) + 1, [lambda: a, lambda: a + flag, lambda: a * 2]), x, form="lowered", free=False)
    case("lowered_loop", lambda a: tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, tf.cond(i > 1, lambda: s * flag, lambda: s + a)), (0, a))[1], x, form="lowered")
    case("lowered_nested", nested, x, form="lowered")
