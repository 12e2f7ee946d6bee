"""Shapes, slices and places."""
import numpy as np
import tensorflow as tf

raw = tf.raw_ops


def add(case, rnd):
    x = rnd(2, 3, 4)

    case("shape", lambda a: tf.cast(tf.shape(a), tf.float32), x, single="the answer is the size")
    case("shapen", lambda a: raw.ShapeN(input=[a, a[:, :2]])[1], x, single="the answer is the size")
    case("size", lambda a: a * tf.cast(raw.Size(input=a), tf.float32), x, single="the answer depends on the size")
    case("rank", lambda a: a * tf.cast(raw.Rank(input=a), tf.float32), x)
    case("reshape", lambda a: raw.Reshape(tensor=a, shape=[-1, 12]), x)
    case("reshape_own", lambda a: tf.reshape(a, tf.stack([tf.shape(a)[0], 4, 3])), x)
    case("reshape_computed", lambda a: tf.reshape(a, tf.concat([tf.shape(a)[:1], [2, 6]], 0)), x)
    case("flatten", lambda a: tf.reshape(a, [tf.shape(a)[0], tf.reduce_prod(tf.shape(a)[1:])]), x)
    case("squeeze", lambda a: raw.Squeeze(input=a, axis=[1]), rnd(2, 1, 3))
    case("squeeze_all", lambda a: raw.Squeeze(input=a), rnd(2, 1, 3, 1), free=False)
    case("expanddims", lambda a: raw.ExpandDims(input=a, axis=-1), x)
    case("transpose", lambda a: raw.Transpose(x=a, perm=[0, 2, 1]), x)
    case("concat", lambda a: raw.Concat(concat_dim=1, values=[a, 2 * a]), x)
    case("concatv2", lambda a: raw.ConcatV2(values=[a, a * a], axis=-1), x)
    case("pack", lambda a: raw.Pack(values=[a, -a], axis=1), x)
    case("unpack", lambda a: raw.Unpack(value=a, num=3, axis=1)[1], x)
    case("split", lambda a: raw.Split(axis=2, value=a, num_split=2)[1], x)
    case("splitv", lambda a: raw.SplitV(value=a, size_splits=[1, -1, 1], axis=2, num_split=3)[1], x)
    case("tile", lambda a: raw.Tile(input=a, multiples=[1, 2, 1]), x)
    case("fill", lambda a: a + raw.Fill(dims=tf.shape(a), value=2.5), x)
    case("fill_computed", lambda a: raw.Fill(dims=[3], value=a[0, 0, 0]), x, free=False)
    case("zeroslike", lambda a: a + raw.ZerosLike(x=a), x)
    case("oneslike", lambda a: a + raw.OnesLike(x=a), x)
    case("range", lambda a: a * tf.reshape(tf.cast(raw.Range(start=0, limit=tf.shape(a)[0] * 0 + 4, delta=1), tf.float32), [1, 1, 4]), x)
    case("linspace", lambda a: a * raw.LinSpace(start=0.0, stop=2.0, num=4), x)
    case("broadcastto", lambda a: raw.BroadcastTo(input=a[:, :1], shape=tf.shape(a)), x)
    idx = np.array([[0, 2], [3, -1]], np.int32)
    case("onehot", lambda i: raw.OneHot(indices=i, depth=4, on_value=2.0, off_value=-1.0), idx)
    case("onehot_axis", lambda i: raw.OneHot(indices=i, depth=3, on_value=1.0, off_value=0.0, axis=1), idx)
    case("roll", lambda a: raw.Roll(input=a, shift=[1, -1], axis=[1, 2]), x)
    case("slice", lambda a: raw.Slice(input=a, begin=[0, 1, 1], size=[-1, 2, 2]), x)
    case("slice_computed", lambda a: raw.Slice(input=a, begin=tf.stack([0, tf.cast(a[0, 0, 0] * 0, tf.int32), 1]), size=[-1, 2, -1]), x)
    for name, f in {
        "": lambda a: a[:, 1:, ::2], "_back": lambda a: a[:, ::-1, 3:0:-2], "_one": lambda a: a[:, -1], "_dots": lambda a: a[..., 1],
        "_new": lambda a: a[:, tf.newaxis, 1:2, ..., 0:3], "_computed": lambda a: a[:, : tf.shape(a)[2] - 2, tf.shape(a)[1] - 1],
        "_minus": lambda a: a[:, -2:-1, :-1],
    }.items():
        case("stridedslice" + name, f, x)
    case("gather", lambda a: raw.Gather(params=tf.constant(rnd(5, 2)), indices=tf.cast(a, tf.int32)), np.array([[1, 4], [0, 2]], np.float32))
    case("gatherv2", lambda a: raw.GatherV2(params=a, indices=[2, 0], axis=1), x)
    case("gatherv2_batch", lambda a, i: raw.GatherV2(params=a, indices=i, axis=1, batch_dims=1), x, np.array([[2, 0], [1, 1]], np.int32))
    case("gathernd", lambda a: raw.GatherNd(params=a, indices=[[0, 1], [0, 2]]), x, free=False)
    case("reversev2", lambda a: raw.ReverseV2(tensor=a, axis=[1, -1]), x)
    case("reversesequence", lambda a: raw.ReverseSequence(input=a, seq_lengths=[2, 3], seq_dim=1, batch_dim=0), x, free=False)
    case("scatternd", lambda a: raw.ScatterNd(indices=[[1], [3], [1]], updates=a, shape=[5, 2]), rnd(3, 2), free=False)
    case("tensorscatterupdate", lambda a: raw.TensorScatterUpdate(tensor=a, indices=[[0], [2]], updates=rnd(2, 2)), rnd(3, 2), free=False)
    case("tensorscatteradd", lambda a: raw.TensorScatterAdd(tensor=a, indices=[[0], [2], [0]], updates=rnd(3, 2)), rnd(3, 2), free=False)
    case("topkv2", lambda a: raw.TopKV2(input=a, k=2), x)
    case("argmax", lambda a: raw.ArgMax(input=a, dimension=1), x)
    case("argmin", lambda a: raw.ArgMin(input=a, dimension=-1, output_type=tf.int32), x)
    case("where", lambda a: raw.Where(condition=a > 0), x, free=False)
    case("matrixbandpart", lambda a: raw.MatrixBandPart(input=a, num_lower=1, num_upper=0), x)
    case("matrixbandpart_upper", lambda a: raw.MatrixBandPart(input=a, num_lower=0, num_upper=-1), x)
    case("invertpermutation", lambda a: tf.transpose(a, tf.math.invert_permutation([0, 2, 1])), x)
    table = tf.Variable(rnd(6, 3))
    case("resourcegather", lambda i: tf.gather(table, i), idx % 4)
