"""Arithmetic."""
import numpy as np
import tensorflow as tf

raw = tf.raw_ops


def add(case, rnd):
    x = rnd(2, 3)
    pos = rnd(2, 3, lo=0.2, hi=2)
    for op in ("Abs Acos Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Erfc Exp Expm1 Floor Neg Reciprocal Relu Relu6 Rint "
               "Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Square Tan Tanh").split():
        v = x if op in ("Acos", "Asin", "Atanh") else 4 * x
        arg = {"features": None} if op in ("Elu", "Relu", "Relu6", "Selu", "Softplus", "Softsign") else {"x": None}
        key = next(iter(arg))
        case(op.lower(), lambda a, op=op, key=key: getattr(raw, op)(**{key: a}), v)
    for op in "Acosh Inv Log Log1p Rsqrt Sqrt".split():
        case(op.lower(), lambda a, op=op: getattr(raw, op)(x=a), pos + 1)
    odd = np.array([[1, np.inf, -np.inf], [np.nan, 0, -2]], np.float32)
    for op in "IsFinite IsInf IsNan".split():
        case(op.lower(), lambda a, op=op: tf.cast(getattr(raw, op)(x=a), tf.float32), odd)
    case("logicalnot", lambda a: tf.cast(raw.LogicalNot(x=a > 0), tf.float32), x)
    case("softmax", lambda a: raw.Softmax(logits=a), 3 * x)
    case("logsoftmax", lambda a: raw.LogSoftmax(logits=a), 3 * x)
    case("leakyrelu", lambda a: raw.LeakyRelu(features=a, alpha=0.3), x)

    y = rnd(2, 3, seed=7)
    for op in "Add AddV2 Sub Mul Maximum Minimum SquaredDifference RealDiv Div Atan2".split():
        key = ("y", "x") if op == "Atan2" else ("x", "y")
        case(op.lower(), lambda a, b, op=op, k=key: getattr(raw, op)(**{k[0]: a, k[1]: b}), x, y)
    case("pow", lambda a, b: raw.Pow(x=a, y=b), pos, y)
    case("broadcast", lambda a: a * tf.constant([1.0, 2, 3]) + tf.constant(0.5), x)
    for op in "Equal NotEqual Greater GreaterEqual Less LessEqual".split():
        case(op.lower(), lambda a, b, op=op: tf.cast(getattr(raw, op)(x=a, y=b), tf.float32), np.round(2 * x), np.round(2 * y))
    for op in "LogicalAnd LogicalOr".split():
        case(op.lower(), lambda a, b, op=op: tf.cast(getattr(raw, op)(x=a > 0, y=b > 0), tf.float32), x, y)
    ints = np.array([[7, -7, 6], [-1, 5, -6]], np.int32)
    by = np.array([[3, 3, -4], [2, -2, 3]], np.int32)
    for op in "FloorDiv FloorMod TruncateDiv TruncateMod Mod Div".split():
        case(op.lower() + "_int", lambda a, b, op=op: getattr(raw, op)(x=a, y=b), ints, by)
    for op in "FloorDiv FloorMod Mod".split():
        case(op.lower(), lambda a, b, op=op: getattr(raw, op)(x=a, y=b), 5 * x, y + np.sign(y))
    zeros = np.array([[0, 1, 0], [2, 0, 3]], np.float32)
    for op in "DivNoNan MulNoNan".split():
        case(op.lower(), lambda a, b, op=op: getattr(raw, op)(x=a, y=b), x, zeros)
    for op in "Xdivy Xlogy".split():
        case(op.lower(), lambda a, b, op=op: getattr(raw, op)(x=a, y=b), zeros, zeros + np.float32(0.5))
    case("addn", lambda a, b: raw.AddN(inputs=[a, b, a]), x, y)
    case("accumulatenv2", lambda a, b: raw.AccumulateNV2(inputs=[a, b], shape=[2, 3]), x, y, free=False)
    case("approximateequal", lambda a: tf.cast(raw.ApproximateEqual(x=a, y=a + tf.constant([[1e-7, 0.1, 0]]), tolerance=1e-3), tf.float32), x)
    case("biasadd", lambda a: raw.BiasAdd(value=a, bias=tf.constant([1.0, 2, 3])), x)
    case("biasadd_nchw", lambda a: raw.BiasAdd(value=a, bias=tf.constant([1.0, 2, 3]), data_format="NCHW"), rnd(2, 3, 4, 2))
    case("biasaddv1", lambda a: raw.BiasAddV1(value=a, bias=tf.constant([1.0, 2, 3])), x)
    case("cast", lambda a: tf.cast(tf.cast(a * 10, tf.int32), tf.float32), x)
    case("cast_half", lambda a: tf.cast(tf.cast(a, tf.float16) * tf.constant([1, 2, 3], tf.float16), tf.float32), x, atol=1e-2)
    case("select", lambda a, b: raw.Select(condition=a > 0, x=a, y=b), x, y)
    case("select_rows", lambda a, b: raw.Select(condition=a[:, 0] > 0, x=a, y=b), x, y)
    case("selectv2", lambda a, b: raw.SelectV2(condition=a[:, :1] > 0, t=a, e=b), x, y)
    case("select_bool", lambda a, b: tf.cast(raw.SelectV2(condition=a > 0, t=b > 0, e=b < a), tf.float32), x, y)
    case("clipbyvalue", lambda a: raw.ClipByValue(t=a, clip_value_min=-0.3, clip_value_max=0.4), x)
    case("fakequantargs", lambda a: raw.FakeQuantWithMinMaxArgs(inputs=a, min=-2, max=3, num_bits=4), 3 * x)
    case("fakequantvars", lambda a: raw.FakeQuantWithMinMaxVars(inputs=a, min=-0.5, max=0.7, num_bits=8, narrow_range=True), x)
    for name, kw in (("", {}), ("_exclusive", {"exclusive": True}), ("_reverse", {"reverse": True})):
        case("cumsum" + name, lambda a, kw=kw: raw.Cumsum(x=a, axis=1, **kw), x)

    case("matmul", lambda a: raw.MatMul(a=a, b=tf.constant(rnd(3, 4))), x)
    case("matmul_turned", lambda a: raw.MatMul(a=a, b=tf.constant(rnd(4, 3)), transpose_b=True), x)
    case("matmul_turned_a", lambda a: raw.MatMul(a=a, b=tf.constant(rnd(2, 4)), transpose_a=True), x, free=False)
    m, n = rnd(2, 3, 4), rnd(2, 4, 5)
    case("batchmatmul", lambda a, b: raw.BatchMatMul(x=a, y=b), m, n)
    case("batchmatmulv2", lambda a: raw.BatchMatMulV2(x=a, y=tf.constant(rnd(5, 4)), adj_y=True), m)
    case("batchmatmulv3", lambda a, b: raw.BatchMatMulV3(x=a, y=b, Tout=tf.float32, adj_x=True), rnd(2, 4, 3), n)
    case("einsum", lambda a, b: raw.Einsum(inputs=[a, b], equation="abc,acd->abd"), m, n)
    case("einsum_dots", lambda a: raw.Einsum(inputs=[a, tf.constant(rnd(4, 2, 3))], equation="...c,cde->...de"), m)
    case("tensordot", lambda a: tf.tensordot(a, tf.constant(rnd(4, 2)), axes=[[2], [0]]), m)
    case("l2loss", lambda a: a * raw.L2Loss(t=a), x, free=False)
    case("l2_normalize", lambda a: tf.nn.l2_normalize(a, axis=1), x)

    z = rnd(2, 3, 4)
    for op in "Mean Sum Max Min Prod EuclideanNorm".split():
        case(op.lower(), lambda a, op=op: getattr(raw, op)(input=a, axis=[1]), z)
        case(op.lower() + "_keep", lambda a, op=op: getattr(raw, op)(input=a, axis=[1, -1], keep_dims=True), z)
    for op in "All Any".split():
        case(op.lower(), lambda a, op=op: tf.cast(getattr(raw, op)(input=a > -0.5, axis=[1]), tf.float32), z)
    case("logsumexp", lambda a: tf.reduce_logsumexp(a, axis=1), z)
    case("moments", lambda a: tf.nn.moments(a, axes=[1, 2])[1], z)
    case("bucketize", lambda a: raw.Bucketize(input=a, boundaries=[-0.5, 0.0, 0.4]), x)
    case("unsortedsegmentsum", lambda a: raw.UnsortedSegmentSum(data=a, segment_ids=[1, 0, -1, 1], num_segments=3), rnd(4, 3), free=False)
    case("sparsematmul", lambda a: raw.SparseMatMul(a=a, b=tf.constant(rnd(4, 3)), transpose_b=True), x)
    case("fakequantchannels", lambda a: raw.FakeQuantWithMinMaxVarsPerChannel(inputs=a, min=[-0.5, -1, -0.2], max=[0.5, 0.3, 0.9], num_bits=5), x)
