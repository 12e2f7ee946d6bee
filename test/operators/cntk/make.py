"""Writes the cases of this folder: functions of CNTK 2.7, saved and evaluated by
CNTK itself on a CPU.

    pip install cntk==2.7 'numpy<1.20'    # Python 3.6
    python make.py                        # in this folder

CNTK wants OpenMPI's libraries under the names libmpi.so.12 and libmpi_cxx.so.1
on LD_LIBRARY_PATH. Seeds are fixed. The names of functions within the files
count up as they are made, so that files differ when cases are added before them.
"""

import io
import json
import os
import shutil
import zipfile

import cntk as C
import numpy as np
from cntk.internal.swig_helper import typemap
from cntk.layers import (
    BatchNormalization, Convolution, ConvolutionTranspose, Dense, Delay, Dropout, Embedding, Fold, GRU, LSTM,
    LayerNormalization, Recurrence, RNNStep, SequentialConvolution, Stabilizer,
)
from cntk.misc import convert_optimized_rnnstack

C.cntk_py.set_fixed_random_seed(1)
rng = np.random.RandomState(7)


def rand(*shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def save_arrays(path, arrays):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, a in arrays.items():
            b = io.BytesIO()
            np.lib.format.write_array(b, np.ascontiguousarray(a), allow_pickle=False)
            info = zipfile.ZipInfo(name + '.npy', (2000, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, b.getvalue())


def case(name, f, feed, wanted=None, shapes=None, single=None, atol=None, outputs=None, unused=()):
    """Saves f and what it gives for feed, which is by variable."""
    if os.path.isdir(name):
        shutil.rmtree(name)
    os.makedirs(name)
    f.save(os.path.join(name, 'model.dnn'))
    one_sequence = shapes == 'one'
    given = {v: ([a] if one_sequence and any(x.is_ordered for x in v.dynamic_axes) else a) for v, a in feed.items()}
    got = (wanted or f).eval(given)
    if not isinstance(got, dict):
        got = {(wanted or f).output: got}
    arrays = {}
    for v, a in feed.items():
        if v in unused:
            continue
        arrays['in/' + (v.name or v.uid)] = np.asarray(a, np.float32)
    for v, a in got.items():
        a = np.asarray(a, np.float32)
        if one_sequence and len(v.dynamic_axes) > 0:
            a = a[0]
        label = (outputs or {}).get(v.uid) or v.name or v.uid
        arrays['out/' + label] = a
    save_arrays(name + '.npz', arrays)
    settings = {}
    if atol:
        settings['atol'] = atol
    if shapes == 'one' or single:
        settings['single'] = single or 'the first axis is the steps of one sequence'
    elif shapes == 'batch':
        settings['shapes'] = {(v.name or v.uid): [-1, -1] + list(v.shape) for v in feed if any(x.is_ordered for x in v.dynamic_axes)}
    elif shapes:
        settings['shapes'] = shapes
    path = name + '.json'
    if settings:
        with open(path, 'w') as out:
            json.dump(settings, out, sort_keys=True)
            out.write('\n')
    elif os.path.exists(path):
        os.remove(path)


def picture(*shape):
    return C.input_variable(shape, name='x')


def sequence(*shape, name='x', axis=None):
    if axis:
        return C.sequence.input_variable(shape, name=name, sequence_axis=axis)
    return C.sequence.input_variable(shape, name=name)


def named(f, name='y'):
    return C.alias(f, name)


# Functions of one number each.
for op, low, high in [
    ('negate', -2, 2), ('sigmoid', -2, 2), ('tanh', -2, 2), ('relu', -2, 2), ('exp', -2, 2), ('log', 0.1, 2), ('sqrt', 0.1, 2), ('floor', -2, 2),
    ('abs', -2, 2), ('reciprocal', 0.5, 2), ('sin', -2, 2), ('cos', -2, 2), ('sinh', -2, 2), ('cosh', -2, 2), ('asin', -0.9, 0.9), ('acos', -0.9, 0.9),
    ('tan', -1, 1), ('atan', -2, 2), ('asinh', -2, 2), ('atanh', -0.9, 0.9), ('elu', -2, 2), ('softplus', -2, 2), ('softsign', -2, 2), ('selu', -2, 2),
    ('hardmax', -2, 2), ('round', -2, 2), ('straight_through_impl', -2, 2), ('ceil', -2, 2), ('square', -2, 2),
]:
    x = picture(2, 3)
    data = rng.uniform(low, high, (2, 2, 3)).astype(np.float32)
    case('unary_' + op, getattr(C, op)(x, name='y'), {x: data})
x = picture(2, 3)
case('unary_leaky', C.leaky_relu(x, 0.1, name='y'), {x: rand(2, 2, 3)})
case('unary_param_relu', C.param_relu(C.constant(rand(3)), x, name='y'), {x: rand(2, 2, 3)})
case('unary_hard_sigmoid', C.hard_sigmoid(x, 0.3, 0.4, name='y'), {x: 3 * rand(2, 2, 3)})
case('unary_stable_sigmoid', named(C.sigmoid(x)), {x: rand(2, 2, 3)})
case('dropout', named(Dropout(0.5)(x)), {x: rand(2, 2, 3)})
case('stop_gradient', named(C.stop_gradient(x) + 1), {x: rand(2, 2, 3)})

# Two tensors, which broadcast along CNTK's first axes.
for op in ['plus', 'minus', 'element_times', 'element_divide', 'equal', 'not_equal', 'less', 'less_equal', 'greater', 'greater_equal', 'log_add_exp', 'element_max', 'element_min']:
    x, z = picture(2, 3), C.input_variable((2, 3), name='z')
    a, b = rand(2, 2, 3), rand(2, 2, 3)
    b[0, 0] = a[0, 0]
    case('binary_' + op, getattr(C, op)(x, z, name='y'), {x: a, z: b})
x = picture(2, 3)
case('broadcast_small', C.plus(x, C.constant(rand(3)), name='y'), {x: rand(2, 2, 3)})
v = C.input_variable((3,), name='x')
case('broadcast_large', C.element_times(v, C.constant(rand(4, 1)), name='y'), {v: rand(2, 3)})
x, z = picture(2, 3), C.input_variable((3,), name='z')
case('broadcast_inputs', C.minus(x, z, name='y'), {x: rand(2, 2, 3), z: rand(2, 3)})
case('pow', C.pow(x, C.constant(rand(3) + 2), name='y'), {x: np.abs(rand(2, 2, 3)) + 0.1})
case('clip', C.clip(x, -0.3, 0.4, name='y'), {x: rand(2, 2, 3)})
z = C.input_variable((2, 3), name='z')
case('select', C.element_select(C.greater(x, 0), x, z, name='y'), {x: rand(2, 2, 3), z: rand(2, 2, 3)})
w = C.input_variable((3,), name='w')
case('cosine', C.cosine_distance(v, w, name='y'), {v: rand(2, 3), w: rand(2, 3)})
case('sum_of_all', C.plus(x, C.constant(rand(2, 3)), C.constant(2), name='y'), {x: rand(2, 2, 3)})

# Softmax and its like: plain ones, and along axes.
for axis in [None, 0, 1, -1]:
    for op in ['softmax', 'log_softmax']:
        if axis is None and op == 'log_softmax':
            continue
        kwargs = {} if axis is None else {'axis': axis}
        x = picture(2, 3)
        case('%s_%s' % (op, {None: 'plain', 0: 'first', 1: 'second', -1: 'last'}[axis]), getattr(C, op)(x, name='y', **kwargs), {x: rand(2, 2, 3)})
case('softmax_vector', C.softmax(v, name='y'), {v: rand(2, 3)})
case('log_softmax_vector', C.log_softmax(v, name='y'), {v: rand(2, 3)})
case('hardmax_vector', C.hardmax(v, name='y'), {v: rand(2, 3)})

# Products.
x = picture(2, 3)
case('dense', Dense(4, activation=C.relu, name='y')(v), {v: rand(2, 3)})
case('dense_picture', Dense((2, 5), name='y')(x), {x: rand(2, 2, 3)})
case('dense_map_rank', Dense(4, map_rank=1, name='y')(x), {x: rand(2, 2, 3)})
x3 = picture(4, 2, 3)
case('dense_input_rank', Dense((2, 2), input_rank=2, name='y')(x3), {x3: rand(2, 4, 2, 3)})
case('times_rank2', C.times(x, C.constant(rand(3, 4)), name='y'), {x: rand(2, 2, 3)})
case('times_output_rank2', C.times(x, C.constant(rand(2, 3, 4, 2)), output_rank=2, name='y'), {x: rand(2, 2, 3)})
case('times_left', C.times(C.constant(rand(4, 2)), x, name='y'), {x: rand(2, 2, 3)})
z = C.input_variable((3, 4), name='z')
case('times_inputs', C.times(x, z, name='y'), {x: rand(2, 2, 3), z: rand(2, 3, 4)})
case('times_vector_matrix', C.times(v, z, name='y'), {v: rand(2, 3), z: rand(2, 3, 4)})
case('times_transpose_vector', C.times_transpose(v, C.constant(rand(4, 3)), name='y'), {v: rand(2, 3)})
case('embedding', Embedding(4, name='y')(v), {v: np.eye(3, dtype=np.float32)[[0, 2]]})
case('stabilizer', named(Stabilizer(enable_self_stabilization=True)(v)), {v: rand(2, 3)})

# Reductions.
x3 = picture(2, 3, 4)
for op in ['sum', 'log_sum_exp', 'mean', 'max', 'min', 'prod']:
    case('reduce_' + op, getattr(C, 'reduce_' + op)(x3, axis=1, name='y'), {x3: rand(2, 2, 3, 4)})
case('reduce_no_keep', C.reduce_sum(x3, axis=1, keepdims=False, name='y'), {x3: rand(2, 2, 3, 4)})
case('reduce_axes', C.reduce_mean(x3, axis=[0, 2], name='y'), {x3: rand(2, 2, 3, 4)})
case('reduce_static', C.reduce_sum(x3, axis=C.Axis.all_static_axes(), name='y'), {x3: rand(2, 2, 3, 4)})
case('reduce_all', C.plus(C.reduce_sum(x3, axis=C.Axis.all_axes()), x3, name='y'), {x3: rand(2, 2, 3, 4)}, single='it sums over the batch')
case('reduce_batch', C.reduce_sum(x3, axis=C.Axis.default_batch_axis(), name='y'), {x3: rand(2, 2, 3, 4)}, single='it sums over the batch')
case('reduce_l2', C.reduce_l2(x3, axis=1, name='y'), {x3: rand(2, 2, 3, 4)})
case('argmax', C.argmax(x3, axis=0, name='y'), {x3: rand(2, 2, 3, 4)})
case('argmin', C.argmin(x3, axis=2, name='y'), {x3: rand(2, 2, 3, 4)})
f = C.top_k(v, 2)
case('top_k', C.combine([named(f.outputs[0], 'largest'), named(f.outputs[1], 'places')]), {v: rand(2, 3)})

# Shapes.
case('transpose', C.transpose(x3, (2, 0, 1), name='y'), {x3: rand(2, 2, 3, 4)})
case('swapaxes', C.swapaxes(x3, 0, 2, name='y'), {x3: rand(2, 2, 3, 4)})
case('slice_one', C.slice(x3, 1, 1, 3, name='y'), {x3: rand(2, 2, 3, 4)})
case('slice_end', C.slice(x3, 2, -2, 0, name='y'), {x3: rand(2, 2, 3, 4)})
case('slice_several', C.slice(x3, [0, 2], [1, 0], [2, 3], name='y'), {x3: rand(2, 2, 3, 4)})
case('slice_stride', C.slice(x3, [2], [0], [4], [2], name='y'), {x3: rand(2, 2, 3, 4)})
case('slice_backwards', C.slice(x3, [2], [0], [4], [-1], name='y'), {x3: rand(2, 2, 3, 4)})
case('reshape', C.reshape(x3, (6, 4), name='y'), {x3: rand(2, 2, 3, 4)})
case('reshape_infer', C.reshape(x3, (4, -1), name='y'), {x3: rand(2, 2, 3, 4)})
case('reshape_part', C.reshape(x3, (2, 2), begin_axis=2, end_axis=3, name='y'), {x3: rand(2, 2, 3, 4)})
case('reshape_first', C.reshape(x3, (6,), begin_axis=0, end_axis=2, name='y'), {x3: rand(2, 2, 3, 4)})
case('expand_dims', C.expand_dims(x3, 1, name='y'), {x3: rand(2, 2, 3, 4)})
x1 = picture(2, 1, 3)
case('squeeze', C.squeeze(x1, name='y'), {x1: rand(2, 2, 1, 3)})
case('squeeze_axis', C.squeeze(x1, 1, name='y'), {x1: rand(2, 2, 1, 3)})
case('flatten', C.flatten(x3, 1, name='y'), {x3: rand(2, 2, 3, 4)})
x, z = picture(2, 3), C.input_variable((4, 3), name='z')
case('splice_first', C.splice(x, z, axis=0, name='y'), {x: rand(2, 2, 3), z: rand(2, 4, 3)})
z = C.input_variable((2, 3), name='z')
case('splice_last', C.splice(x, z, axis=-1, name='y'), {x: rand(2, 2, 3), z: rand(2, 2, 3)})
case('splice_new', C.splice(x, z, axis=C.Axis.new_leading_axis(), name='y'), {x: rand(2, 2, 3), z: rand(2, 2, 3)})
case('splice_constant', C.splice(x, C.constant(rand(1, 3)), axis=0, name='y'), {x: rand(2, 2, 3)})
case('one_hot', C.one_hot(v, 5, name='y'), {v: np.array([[0, 3, 1], [4, 4, 2]], np.float32)})
case('one_hot_axis', C.one_hot(v, 5, axis=0, name='y'), {v: np.array([[0, 3, 1], [4, 4, 2]], np.float32)})
case('gather', C.gather(C.constant(rand(5, 2)), v, name='y'), {v: np.array([[0, 3, 1], [4, 4, 2]], np.float32)})
case('gather_axis', C.gather(C.constant(rand(3, 5, 2)), v, axis=1, name='y'), {v: np.array([[0, 3, 1], [4, 4, 2]], np.float32)})
case('pad_constant', C.pad(x3, [(0, 0), (1, 2), (2, 1)], constant_value=0.5, name='y'), {x3: rand(2, 2, 3, 4)})
case('pad_reflect', C.pad(x3, [(0, 0), (1, 2), (2, 1)], mode=C.ops.REFLECT_PAD, name='y'), {x3: rand(2, 2, 3, 4)})
case('pad_symmetric', C.pad(x3, [(0, 0), (1, 2), (2, 1)], mode=C.ops.SYMMETRIC_PAD, name='y'), {x3: rand(2, 2, 3, 4)})
x4, z = picture(2, 6, 7), C.input_variable((2, 3, 4), name='z')
case('crop', C.plus(C.crop_manual(x4, z, 1, 2), z, name='y'), {x4: rand(2, 2, 6, 7), z: rand(2, 2, 3, 4)})
case('constant_like', named(C.ones_like(x) * 2 + C.zeros_like(x)), {x: rand(2, 2, 3)})
case('to_batch', C.to_batch(C.unpack_batch(x), name='y'), {x: rand(2, 2, 3)})
case('unpack_batch', C.unpack_batch(x, name='y'), {x: rand(2, 2, 3)})

# Convolutions: sizes that divide and do not, strides, padding, dilation, groups.
for n in [6, 7]:
    for k in [1, 2, 3, 4, 5]:
        for s in [1, 2, 3]:
            if (n, k, s) in [(6, 1, 1), (6, 2, 1), (6, 3, 1), (7, 1, 3), (6, 1, 3), (6, 3, 2), (7, 3, 2), (6, 4, 2), (7, 4, 3), (6, 5, 2), (7, 5, 3)]:
                x = picture(2, n, n + 1)
                case('conv_auto_n%d_k%d_s%d' % (n, k, s), C.convolution(C.constant(rand(3, 2, k, k)), x, strides=(s, s), auto_padding=[False, True, True], name='y'), {x: rand(2, 2, n, n + 1)})
x = picture(2, 6, 7)
case('conv_valid', C.convolution(C.constant(rand(3, 2, 3, 2)), x, strides=(2, 1), auto_padding=[False], name='y'), {x: rand(2, 2, 6, 7)})
case('conv_groups', C.convolution(C.constant(rand(4, 1, 3, 3)), x, groups=2, auto_padding=[False, True, True], name='y'), {x: rand(2, 2, 6, 7)})
case('conv_layer', Convolution((3, 3), 4, pad=True, activation=C.relu, name='y')(x), {x: rand(2, 2, 6, 7)})
x1 = picture(2, 9)
case('conv_1d', Convolution((3,), 4, strides=2, pad=True, name='y')(x1), {x1: rand(2, 2, 9)})
x3d = picture(2, 4, 5, 6)
case('conv_3d', Convolution((2, 3, 3), 3, pad=False, name='y')(x3d), {x3d: rand(2, 2, 4, 5, 6)})
xg = picture(6, 7)
case('conv_reduction0', Convolution((3, 3), 2, reduction_rank=0, pad=True, name='y')(xg), {xg: rand(2, 6, 7)})
for s, pad in [(1, True), (2, True), (2, False), (3, True)]:
    x = picture(2, 4, 5)
    case('deconv_s%d_%s' % (s, 'pad' if pad else 'valid'), ConvolutionTranspose((3, 3), 3, strides=s, pad=pad, name='y')(x), {x: rand(2, 2, 4, 5)})
x = picture(2, 4, 5)
case('deconv_k4', ConvolutionTranspose((4, 4), 3, strides=2, pad=True, name='y')(x), {x: rand(2, 2, 4, 5)})
case('deconv_k2_s2', ConvolutionTranspose((2, 2), 3, strides=2, pad=False, name='y')(x), {x: rand(2, 2, 4, 5)})
case('deconv_shape', C.convolution_transpose(C.constant(rand(2, 3, 3, 3)), x, strides=(2, 2), auto_padding=[False, True, True], output_shape=(3, 8, 10), name='y'), {x: rand(2, 2, 4, 5)})
case('deconv_shape_odd', C.convolution_transpose(C.constant(rand(2, 3, 3, 3)), x, strides=(2, 2), auto_padding=[False, True, True], output_shape=(3, 7, 9), name='y'), {x: rand(2, 2, 4, 5)})

# Poolings.
for kind, number in [('max', C.MAX_POOLING), ('avg', C.AVG_POOLING)]:
    x = picture(2, 6, 7)
    case(kind + 'pool_valid', C.pooling(x, number, (2, 2), strides=(2, 2), name='y'), {x: rand(2, 2, 6, 7)})
    case(kind + 'pool_auto', C.pooling(x, number, (3, 3), strides=(2, 2), auto_padding=[True, True], name='y'), {x: rand(2, 2, 6, 7)})
    case(kind + 'pool_auto1', C.pooling(x, number, (2, 3), strides=(1, 1), auto_padding=[True, True], name='y'), {x: rand(2, 2, 6, 7)})
    case(kind + 'pool_ceil', C.pooling(x, number, (3, 3), strides=(2, 2), ceil_out_dim=True, name='y'), {x: rand(2, 2, 6, 7)})
    xv = picture(2, 6)
    case(kind + 'pool_1d', C.pooling(xv, number, (3,), strides=(2,), name='y'), {xv: rand(2, 2, 6)})
    x5 = picture(3, 2, 4, 4)
    case(kind + 'pool_few_axes', C.pooling(x5, number, (2, 2), strides=(2, 2), name='y'), {x5: rand(2, 3, 2, 4, 4)})
case('avgpool_include', C.pooling(x, C.AVG_POOLING, (3, 3), strides=(2, 2), auto_padding=[True, True], include_pad=True, name='y'), {x: rand(2, 2, 6, 7)})
case('pool_global_average', named(C.layers.GlobalAveragePooling()(x)), {x: rand(2, 2, 6, 7)})
case('pool_global_max', named(C.layers.GlobalMaxPooling()(x)), {x: rand(2, 2, 6, 7)})
xu = picture(2, 6, 6)
case('unpooling', C.unpooling(C.pooling(xu, C.MAX_POOLING, (2, 2), strides=(2, 2)), xu, C.MAX_UNPOOLING, (2, 2), strides=(2, 2), name='y'), {xu: rand(2, 2, 6, 6)})

# Normalisations.
def batch_norm(x, shape, **kwargs):
    return C.batch_normalization(
        x, C.parameter(shape, init=rand(*shape)), C.parameter(shape, init=rand(*shape)), C.constant(rand(*shape)), C.constant(np.abs(rand(*shape)) + 0.2),
        running_count=C.constant(10), name='y', **kwargs)


case('bn_spatial', batch_norm(x, (2,), spatial=True, epsilon=0.01), {x: rand(2, 2, 6, 7)})
case('bn_each', batch_norm(x, (2, 6, 7), spatial=False), {x: rand(2, 2, 6, 7)})
case('bn_vector', batch_norm(v, (3,), spatial=False), {v: rand(2, 3)})
case('layer_norm', LayerNormalization(name='y')(x), {x: rand(2, 2, 6, 7)})
case('mean_variance', C.mean_variance_normalization(x, use_stats_across_channels=True, name='y'), {x: rand(2, 2, 6, 7)})
xl = picture(6, 4, 3)
case('lrn', C.local_response_normalization(xl, 2, 1.0, 0.1, 0.75, name='y'), {xl: rand(2, 6, 4, 3)})
xd = picture(8, 2, 3)
case('depth_to_space', C.depth_to_space(xd, 2, name='y'), {xd: rand(2, 8, 2, 3)})
xd = picture(2, 4, 6)
case('space_to_depth', C.space_to_depth(xd, 2, name='y'), {xd: rand(2, 2, 4, 6)})
case('image_scaler', C.image_scaler(xd, 0.5, [1., 2.], name='y'), {xd: rand(2, 2, 4, 6)})

# Training heads.
z, label = Dense(3, name='z')(v), C.input_variable((3,), name='label')
head = C.combine([z, C.cross_entropy_with_softmax(z, label), C.classification_error(z, label)])
case('training_head', head, {v: rand(2, 3)}, wanted=z)
case('only_loss', C.cross_entropy_with_softmax(z, label), {v: rand(2, 3)}, wanted=z)
head = C.combine([z, C.squared_error(z, label)])
case('squared_error_head', head, {v: rand(2, 3)}, wanted=z)

# Sequences: a batch of them, and one alone.
def both(name, f, x, *shape, **kwargs):
    case(name, f, {x: rand(*((2, 5) + shape))}, shapes='batch', **kwargs)
    case(name + '_one', f, {x: rand(*((5,) + shape))}, shapes='one', **kwargs)


s = sequence(3)
both('seq_last', C.sequence.last(s, name='y'), s, 3)
both('seq_first', C.sequence.first(s, name='y'), s, 3)
both('seq_is_first', named(C.element_select(C.sequence.is_first(s), s, 0)), s, 3)
both('seq_is_last', named(C.element_select(C.sequence.is_last(s), s, 0)), s, 3)
both('seq_slice', C.sequence.slice(s, 1, 4, name='y'), s, 3)
both('seq_slice_tail', C.sequence.slice(s, -2, 0, name='y'), s, 3)
both('seq_sum', C.sequence.reduce_sum(s, name='y'), s, 3)
both('seq_max', C.sequence.reduce_max(s, name='y'), s, 3)
both('seq_softmax', C.sequence.softmax(s, name='y'), s, 3)
both('seq_broadcast', named(C.sequence.broadcast_as(C.sequence.last(s), s) * s), s, 3)
both('seq_past', C.sequence.past_value(s, initial_state=0.5, time_step=2, name='y'), s, 3)
both('seq_future', C.sequence.future_value(s, initial_state=C.constant(rand(3)), time_step=1, name='y'), s, 3)
both('seq_delay', named(Delay(2)(s)), s, 3)
both('seq_dense', Dense(2, name='y')(s), s, 3)
both('seq_unpack', named(C.sequence.unpack(s, 0, no_mask_output=True)), s, 3)
f = C.sequence.unpack(s, 0)
case('seq_unpack_mask', C.combine([named(f.outputs[0], 'y'), named(f.outputs[1], 'mask')]), {s: rand(2, 5, 3)}, shapes='batch')
xs = C.input_variable((5, 3), name='x')
both('seq_conv', SequentialConvolution((2,), 4, pad=True, name='y')(s), s, 3)
both('seq_conv_k3_s2', SequentialConvolution((3,), 4, strides=2, pad=False, name='y')(s), s, 3)
sp = sequence(2, 6, 5)
both('seq_pictures', Convolution((3, 3), 2, pad=True, name='y')(sp), sp, 2, 6, 5)
both('seq_pool', C.pooling(sp, C.MAX_POOLING, (2, 2), strides=(2, 2), name='y'), sp, 2, 6, 5)
both('seq_bn', batch_norm(s, (3,), spatial=False), s, 3)
case('seq_gather', named(C.sequence.gather(s, C.greater(C.slice(s, 0, 0, 1), 0))), {s: rand(7, 3)}, shapes='one')
case('seq_scatter', named(C.sequence.scatter(C.sequence.gather(s, C.greater(C.slice(s, 0, 0, 1), 0)), C.greater(C.slice(s, 0, 0, 1), 0))), {s: rand(7, 3)}, shapes='one')
case('to_sequence', named(C.sequence.last(C.to_sequence(xs))), {xs: rand(2, 5, 3)})
st = C.input_variable((3,), name='h0')
case('seq_initial_input', named(Recurrence(RNNStep(3), initial_state=0.1)(s) + C.sequence.broadcast_as(st, s)), {s: rand(2, 5, 3), st: rand(2, 3)}, shapes='batch')

# Recurrences. Initial states of zero, of other numbers; backwards; peepholes.
both('lstm', named(Recurrence(LSTM(4))(s)), s, 3)
both('lstm_back', named(Recurrence(LSTM(4), go_backwards=True)(s)), s, 3)
both('lstm_initial', named(Recurrence(LSTM(4), initial_state=0.2)(s)), s, 3)
both('lstm_stabilized', named(Recurrence(LSTM(4, enable_self_stabilization=True))(s)), s, 3)
both('lstm_peephole', named(Recurrence(LSTM(4, use_peepholes=True))(s)), s, 3)
both('lstm_projected', named(Recurrence(LSTM(4, cell_shape=6))(s)), s, 3)
both('lstm_last', named(Fold(LSTM(4))(s)), s, 3)
f = Recurrence(LSTM(4), return_full_state=True)(s)
case('lstm_full_state', C.combine([named(f.outputs[0], 'h'), named(f.outputs[1], 'c')]), {s: rand(2, 5, 3)}, shapes='batch')
both('lstm_two_ways', named(C.splice(Recurrence(LSTM(4))(s), Recurrence(LSTM(4), go_backwards=True)(s))), s, 3)
both('lstm_relu', named(Recurrence(LSTM(4, activation=C.relu))(s)), s, 3)
both('gru', named(Recurrence(GRU(4))(s)), s, 3)
both('gru_back', named(Recurrence(GRU(4), go_backwards=True)(s)), s, 3)
both('gru_stabilized', named(Recurrence(GRU(4, enable_self_stabilization=True))(s)), s, 3)
both('rnn_relu', named(Recurrence(RNNStep(4, activation=C.relu))(s)), s, 3)
both('rnn_tanh', named(Recurrence(RNNStep(4, activation=C.tanh))(s)), s, 3)
h = C.placeholder(shape=(3,), dynamic_axes=s.dynamic_axes)
own = C.tanh(0.5 * C.sequence.past_value(h, time_step=2) + s)
own.replace_placeholders({h: own.output})
both('rnn_own', named(own), s, 3)
h = C.placeholder()
total = C.plus(C.sequence.past_value(h), s)
total.replace_placeholders({h: total.output})
both('running_sum', named(total), s, 3)

# CNTK runs OptimizedRNNStack on a GPU only. What is wanted is by CNTK's own
# conversion of it into functions that a CPU runs, which there is not for GRU.

for kind, gates in [('lstm', 4), ('rnnReLU', 1), ('rnnTanh', 1)]:
    for layers, two_ways in [(1, False), (2, True)]:
        ways, size, total = (2 if two_ways else 1), 3, 0
        for _ in range(layers):
            total += ways * gates * 4 * (size + 4 + 2)
            size = 4 * ways
        w = C.parameter((total // 4, 4), init=rand(total // 4, 4))
        f = C.optimized_rnnstack(s, w, 4, layers, two_ways, kind, name='y')
        on_cpu = convert_optimized_rnnstack(f)
        case('stack_%s_%d_%d' % (kind, layers, ways), f, {s: rand(2, 5, 3)}, wanted=on_cpu, shapes='batch', outputs={on_cpu.output.uid: 'y'})

# Functions that Python makes by other names.
x, z = picture(3, 8, 9), C.input_variable((2, 4), name='rois')
boxes = np.array([[[0, 0, 4, 5], [2, 1, 7, 7]], [[1, 2, 8, 6], [3, 3, 5, 5]]], np.float32)
case('roi_pooling', C.roipooling(x, z, C.MAX_POOLING, (2, 3), 1.0, name='y'), {x: rand(2, 3, 8, 9), z: boxes})
case('roi_pooling_scale', C.roipooling(x, z, C.MAX_POOLING, (3, 2), 0.5, name='y'), {x: rand(2, 3, 8, 9), z: 2 * boxes})
case('sigmoid_plain', typemap(C.cntk_py.sigmoid)(v, 'y'), {v: rand(2, 3)})
case('log_softmax_plain', typemap(C.cntk_py.log_softmax)(v, 'y'), {v: rand(2, 3)})
case('eye_like', named(C.eye_like(C.unpack_batch(v), False)), {v: rand(3, 3)}, single='what it gives is as large as the batch')
xs = C.input_variable((5, 3), name='z')
case('to_sequence_like', named(C.to_sequence_like(xs, s)), {xs: rand(2, 5, 3), s: rand(2, 5, 3)}, unused=[s])
xv = C.input_variable((3,), name='x')
case('cast', named(C.cast(C.cast(xv * 2, np.float64), np.float32)), {xv: rand(2, 3)})

# Numbers of other types, which become 32-bit floats, and sizes that are free.
xd = C.input_variable(3, dtype=np.float64, name='x')
case('double', C.times(xd, C.constant(rng.uniform(-1, 1, (3, 2))), name='y'), {xd: rand(2, 3).astype(np.float64)})
xh = C.input_variable(3, dtype=np.float16, name='x')
case('half', C.times(xh, C.constant(rand(3, 2).astype(np.float16)), name='y'), {xh: rand(2, 3).astype(np.float16)}, atol=2e-3)
xf = C.input_variable((2, C.FreeDimension, C.FreeDimension), name='x')
free = C.pooling(Convolution((3, 3), 2, pad=True)(xf), C.MAX_POOLING, (2, 2), strides=(2, 2))
case('free_size', named(free), {xf: rand(2, 2, 6, 8)})

# Whole networks: a picture, a sentence, one sequence into another.
x = picture(3, 12, 10)


def conv_bn(size, filters, stride=1, activation=C.relu):
    def of(x):
        y = Convolution(size, filters, strides=stride, pad=True, activation=None, bias=False)(x)
        y = C.batch_normalization(
            y, C.parameter((filters,), init=rand(filters)), C.parameter((filters,), init=rand(filters)), C.constant(rand(filters)),
            C.constant(np.abs(rand(filters)) + 0.2), running_count=C.constant(10), spatial=True, use_cudnn_engine=False)
        return activation(y) if activation else y
    return of


def block(x, filters, stride):
    y = conv_bn((3, 3), filters, 1, None)(conv_bn((3, 3), filters, stride)(x))
    return C.relu(y + (conv_bn((1, 1), filters, stride, None)(x) if stride > 1 else x))


y = block(block(conv_bn((3, 3), 4)(x), 4, 1), 6, 2)
y = C.layers.AveragePooling((6, 5), strides=1)(y)
case('net_residual', named(C.softmax(Dense(5)(Dropout(0.3)(y)))), {x: rand(2, 3, 12, 10)})

words = sequence(6)
h = Embedding(3)(words)
h = C.splice(Recurrence(LSTM(4))(h), Recurrence(LSTM(4), go_backwards=True)(h))
h = C.splice(Recurrence(GRU(3))(h), Recurrence(GRU(3), go_backwards=True)(h))
both('net_tagger', named(Dense(5)(h)), words, 6)
both('net_classifier', named(C.softmax(Dense(5)(C.sequence.last(Recurrence(LSTM(4))(Embedding(3)(words)))))), words, 6)
both('net_window', named(C.layers.PastValueWindow(3, axis=-2)(s)[0]), s, 3)
both('net_mean', named(C.sequence.reduce_sum(s) / C.sequence.reduce_sum(C.sequence.broadcast_as(C.constant(1), s))), s, 3)

a = sequence(3, name='a', axis=C.Axis('a'))
b = sequence(2, name='b', axis=C.Axis('b'))
thought = Fold(LSTM(4))(a)
decoded = C.layers.RecurrenceFrom(GRU(4))(thought, b)
case('net_seq2seq', named(Dense(3)(decoded)), {a: rand(2, 5, 3), b: rand(2, 4, 2)}, shapes='batch')
case('net_seq2seq_one', named(Dense(3)(decoded)), {a: rand(5, 3), b: rand(4, 2)}, shapes='one')

attend, encoder, decoder = C.layers.AttentionModel(3), Recurrence(LSTM(4)), GRU(4)


@C.Function
def translate(a, b):
    encoded = encoder(a)

    @C.Function
    def step(state, x):
        return decoder(state, C.splice(x, attend(encoded, state)))

    return Recurrence(step)(b)


case('net_attention', named(translate(a, b)), {a: rand(2, 5, 3), b: rand(2, 4, 2)}, shapes='batch')

# Where automatic padding and ceil_out_dim meet, and where a window would lie
# wholly behind its input, CNTK reads what is not there.
x = picture(2, 6, 7)
for kind, number in [('max', C.MAX_POOLING), ('avg', C.AVG_POOLING)]:
    for k, stride in [(3, 2), (2, 2), (2, 3)]:
        if (k, stride) != (2, 3):
            case('%spool_ceil_k%d_s%d' % (kind, k, stride), C.pooling(x, number, (k, k), strides=(stride, stride), ceil_out_dim=True, name='y'), {x: rand(2, 2, 6, 7)})
        case('%spool_auto_k%d_s%d' % (kind, k, stride), C.pooling(x, number, (k, k), strides=(stride, stride), auto_padding=[True, True], name='y'), {x: rand(2, 2, 6, 7)})
