"""Convolutions, poolings, normalisations and pictures."""
import numpy as np
import tensorflow as tf

raw = tf.raw_ops


def add(case, rnd):
    x = rnd(2, 7, 8, 3)
    w = tf.constant(rnd(3, 2, 3, 4))
    for name, kw in {
        "": {}, "_same": {"padding": "SAME"}, "_same_stride": {"padding": "SAME", "strides": [1, 2, 3, 1]}, "_stride": {"strides": [1, 2, 2, 1]},
        "_dilated": {"dilations": [1, 2, 3, 1]}, "_dilated_same": {"dilations": [1, 2, 3, 1], "padding": "SAME"},
        "_explicit": {"padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 2, 3, 0, 0, 0]},
    }.items():
        kw = {"strides": [1, 1, 1, 1], "padding": "VALID", **kw}
        case("conv2d" + name, lambda a, kw=kw: raw.Conv2D(input=a, filter=w, **kw), x)

    case("conv2d_any_size", lambda a: raw.Conv2D(input=tf.pad(a, tf.fill([4, 2], tf.cast(tf.shape(a)[3] * 0, tf.int32))), filter=w, strides=[1, 2, 2, 1], padding="SAME"), x)
    case("conv2d_groups", lambda a: tf.nn.conv2d(a, tf.constant(rnd(3, 3, 2, 6)), 1, "SAME"), rnd(2, 5, 5, 4))
    case("conv2d_computed", lambda a: tf.nn.conv2d(a, tf.reshape(a[:1, :3, :2, :2], [3, 2, 2, 1])[:, :, :1] * tf.ones([1, 1, 3, 4]), 1, "SAME"), x, single="its weights are made of the first item")
    case("depthwise", lambda a: tf.nn.depthwise_conv2d(a, tf.constant(rnd(3, 3, 3, 2)), [1, 1, 1, 1], "SAME"), x)
    case("depthwise_stride", lambda a: tf.nn.depthwise_conv2d(a, tf.constant(rnd(3, 3, 3, 1)), [1, 2, 2, 1], "SAME"), x)
    case("depthwise_dilated", lambda a: tf.nn.depthwise_conv2d(a, tf.constant(rnd(3, 3, 3, 1)), [1, 1, 1, 1], "VALID", dilations=[2, 2]), x)
    case("separable", lambda a: tf.nn.separable_conv2d(a, tf.constant(rnd(3, 3, 3, 1)), tf.constant(rnd(1, 1, 3, 5)), [1, 1, 1, 1], "SAME"), x)
    case("conv1d", lambda a: tf.nn.conv1d(a, tf.constant(rnd(3, 4, 5)), 2, "SAME"), rnd(2, 9, 4))
    v = rnd(2, 4, 5, 6, 2)
    case("conv3d", lambda a: raw.Conv3D(input=a, filter=tf.constant(rnd(2, 3, 2, 2, 3)), strides=[1, 1, 2, 1, 1], padding="SAME"), v)
    for name, kw in {"": {"padding": "VALID"}, "_same": {"padding": "SAME"}}.items():
        case("conv2dbackpropinput" + name, lambda a, kw=kw: tf.nn.conv2d_transpose(
            a, tf.constant(rnd(3, 3, 4, 3)), tf.stack([tf.shape(a)[0], 15 if kw["padding"] == "VALID" else 14, 17 if kw["padding"] == "VALID" else 16, 4]), 2, **kw), x)
    case("conv2dbackpropinput_odd", lambda a: tf.nn.conv2d_transpose(a, tf.constant(rnd(4, 3, 4, 3)), tf.stack([tf.shape(a)[0], 13, 15, 4]), 2, "SAME"), x)
    case("conv2dbackpropinput_small", lambda a: tf.nn.conv2d_transpose(a, tf.constant(rnd(2, 2, 4, 3)), tf.stack([tf.shape(a)[0], 21, 24, 4]), 3, "SAME"), x)
    case("conv3dbackpropinput", lambda a: tf.nn.conv3d_transpose(a, tf.constant(rnd(3, 3, 3, 2, 2)), tf.stack([tf.shape(a)[0], 8, 10, 12, 2]), 2, "SAME"), v)

    def atrous(a):
        b = raw.SpaceToBatchND(input=a, block_shape=[2, 2], paddings=[[2, 3], [2, 2]])
        b = raw.BiasAdd(value=raw.Conv2D(input=b, filter=tf.constant(rnd(3, 3, 3, 4)), strides=[1, 1, 1, 1], padding="VALID"), bias=[1.0, 2, 3, 4])
        return raw.BatchToSpaceND(input=b, block_shape=[2, 2], crops=[[0, 1], [0, 0]])

    case("atrous", atrous, x)
    case("spacetobatchnd", lambda a: raw.SpaceToBatchND(input=a, block_shape=[2, 3], paddings=[[1, 0], [0, 1]]), x, single="items become several")
    case("batchtospacend", lambda a: raw.BatchToSpaceND(input=a, block_shape=[2, 3], crops=[[1, 0], [0, 2]]), rnd(6, 2, 3, 2), free=False)

    for op in ("MaxPool", "AvgPool"):
        key = "input" if op == "MaxPool" else "value"
        for name, kw in {"": {"padding": "VALID"}, "_same": {"padding": "SAME"}}.items():
            case(op.lower() + name, lambda a, op=op, key=key, kw=kw: getattr(raw, op)(**{key: a}, ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], **kw), x)
        case(op.lower() + "3d", lambda a, op=op: getattr(raw, op + "3D")(input=a, ksize=[1, 2, 3, 2, 1], strides=[1, 2, 2, 1, 1], padding="SAME"), v)
    case("maxpoolv2", lambda a: raw.MaxPoolV2(input=a, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID"), x)

    g = [tf.constant(rnd(3, seed=s, lo=0.2)) for s in range(4)]
    for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        case(op.lower(), lambda a, op=op: getattr(raw, op)(x=a, scale=g[0], offset=g[1], mean=g[2], variance=g[3], epsilon=1e-3, is_training=False)[0], x)
    case("fusedbatchnorm_training", lambda a: raw.FusedBatchNormV3(x=a, scale=g[0], offset=g[1], mean=[], variance=[], epsilon=1e-3, is_training=True)[0], x, single="statistics of the batch")
    case("batchnorm_plain", lambda a: tf.nn.batch_normalization(a, g[2], g[3], g[1], g[0], 1e-3), x)
    case("layernorm", lambda a: (a - tf.reduce_mean(a, -1, keepdims=True)) * tf.math.rsqrt(tf.math.reduce_variance(a, -1, keepdims=True) + 1e-3), x)
    case("lrn", lambda a: raw.LRN(input=a, depth_radius=2, bias=1.5, alpha=0.3, beta=0.6), rnd(2, 3, 4, 7))

    for op in ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"):
        for size in ((14, 16), (10, 5)):
            for name, kw in {"": {}, "_corners": {"align_corners": True}, "_centers": {"half_pixel_centers": True}}.items():
                if op == "ResizeBicubic" and name == "_corners":
                    continue
                atol = {"atol": 5e-3} if op == "ResizeBicubic" else {}
                case(f"{op.lower()}_{size[1]}{name}", lambda a, op=op, size=size, kw=kw: getattr(raw, op)(images=a, size=size, **kw), x, **atol)
    case("resize_by_two", lambda a: raw.ResizeNearestNeighbor(images=a, size=tf.shape(a)[1:3] * 2, half_pixel_centers=True), x)
    case("depthtospace", lambda a: raw.DepthToSpace(input=a, block_size=2), rnd(2, 3, 2, 8))
    case("spacetodepth", lambda a: raw.SpaceToDepth(input=a, block_size=2), rnd(2, 4, 6, 3))
    case("pad", lambda a: raw.Pad(input=a, paddings=[[0, 0], [1, 2], [0, 3], [0, 0]]), x)
    case("padv2", lambda a: raw.PadV2(input=a, paddings=[[0, 0], [1, 2], [0, 3], [0, 1]], constant_values=-2.0), x)
    case("mirrorpad", lambda a: raw.MirrorPad(input=a, paddings=[[0, 0], [1, 2], [0, 3], [0, 0]], mode="REFLECT"), x)
    case("mirrorpad_symmetric", lambda a: raw.MirrorPad(input=a, paddings=[[0, 0], [1, 2], [0, 3], [0, 0]], mode="SYMMETRIC"), x)

    boxes = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [0, 10.1, 1, 11.1]], np.float32)
    scores = np.array([0.9, 0.75, 0.6, 0.95, 0.5], np.float32)
    case("nms", lambda b, s: raw.NonMaxSuppression(boxes=b, scores=s, max_output_size=3), boxes, scores, free=False)
    case("nmsv2", lambda b, s: raw.NonMaxSuppressionV2(boxes=b, scores=s, max_output_size=3, iou_threshold=0.4), boxes, scores, free=False)
    case("nmsv3", lambda b, s: raw.NonMaxSuppressionV3(boxes=b, scores=s, max_output_size=4, iou_threshold=0.5, score_threshold=0.55), boxes, scores, free=False)

    case("dropout_mul", lambda a: 2 * a + 0 * raw.RandomUniform(shape=tf.shape(a), dtype=tf.float32), rnd(2, 3))
    case("randomstandardnormal", lambda a: a + 0 * raw.RandomStandardNormal(shape=tf.shape(a), dtype=tf.float32), rnd(2, 3))
    case("truncatednormal", lambda a: a + 0 * raw.TruncatedNormal(shape=tf.shape(a), dtype=tf.float32), rnd(2, 3))
    case("statelessrandom", lambda a: a + 0 * tf.random.stateless_uniform(tf.shape(a), [1, 2]) + 0 * tf.random.stateless_normal(tf.shape(a), [1, 2]), rnd(2, 3))
    case("nmsv4", lambda b, s: raw.NonMaxSuppressionV4(boxes=b, scores=s, max_output_size=4, iou_threshold=0.5, score_threshold=0.0)[0], boxes, scores, free=False)
    case("nmsv5", lambda b, s: raw.NonMaxSuppressionV5(boxes=b, scores=s, max_output_size=4, iou_threshold=0.5, score_threshold=0.0, soft_nms_sigma=0.0)[1], boxes, scores, free=False)
    some = np.array([[0.1, 0.2, 0.9, 0.7], [-0.5, 0, 1.2, 1], [0.8, 0.9, 0.1, 0.2]], np.float32)
    case("cropandresize", lambda a, b: raw.CropAndResize(image=a, boxes=b, box_ind=[0, 1, 1], crop_size=[3, 4], extrapolation_value=0.25), x, some, free=False)
    case("cropandresize_one", lambda a, b: raw.CropAndResize(image=a, boxes=b, box_ind=[0, 1, 1], crop_size=[1, 2], method="bilinear"), x, some, free=False)
    case("extractimagepatches", lambda a: raw.ExtractImagePatches(images=a, ksizes=[1, 3, 2, 1], strides=[1, 2, 2, 1], rates=[1, 1, 2, 1], padding="SAME"), x)
    case("maxpoolwithargmax", lambda a: raw.MaxPoolWithArgmax(input=a, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")[0], x)
