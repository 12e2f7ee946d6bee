"""Writes the cases of this folder: lasagne.yaml, parameters, and what they give.

    pip install Theano==1.0.5 Lasagne==0.1 'numpy<1.20' 'scipy<1.6'    # Python 3.7
    THEANO_FLAGS=cxx=,optimizer=None,floatX=float32 python make.py     # in this folder

Lasagne 0.1 is the last release on PyPI. What it has is computed by it. Layers that
came later (in version 0.2, which was never released there) are computed as follows,
and each case says which:

    theano   by the operator of Theano 1.0.5 that Lasagne 0.2 calls for the layer
    numpy    by numpy, from the definition in Lasagne 0.2's documentation
"""

import io
import pickle
import os
import shutil
import sys
import types
import zipfile

import numpy as np
import theano
import theano.tensor as T

# Lasagne 0.1 wants a module that Theano has moved.
import theano.tensor.signal.pool as pool
downsample = types.ModuleType('theano.tensor.signal.downsample')
downsample.max_pool_2d = lambda x, ds, ignore_border=True, st=None, padding=(0, 0), mode='max': pool.pool_2d(
    x, ws=ds, ignore_border=ignore_border, stride=st, pad=padding, mode=mode)
sys.modules['theano.tensor.signal.downsample'] = downsample
theano.tensor.signal.downsample = downsample

import lasagne  # noqa: E402
from lasagne import layers as L  # noqa: E402
from lasagne import nonlinearities as N  # noqa: E402

rng = np.random.RandomState(11)


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


def write(name, text, params, feed, out, protocol=None, by='lasagne'):
    """Writes a case: text is the layers, as lines of lasagne.yaml."""
    if os.path.isdir(name):
        shutil.rmtree(name)
    os.makedirs(name)
    with open(os.path.join(name, 'lasagne.yaml'), 'w') as f:
        f.write('# computed by %s\nformat: lasagne\nlayers:\n' % by)
        for line in text.strip().split('\n'):
            f.write('  - {' + line.strip() + '}\n')
    if not params:
        pass  # such a network has no file of parameters
    elif protocol is None:
        save_arrays(os.path.join(name, 'model.npz'), {'arr_%d' % i: p for i, p in enumerate(params)})
    else:
        with open(os.path.join(name, 'model.pkl'), 'wb') as f:
            pickle.dump(params, f, protocol)
    arrays = {'in/' + k: v for k, v in feed.items()}
    arrays['out/y'] = np.asarray(out, np.float32)
    save_arrays(name + '.npz', arrays)


def ask(name, text, net, feed, **kwargs):
    """A case that Lasagne computes, with parameters at random."""
    values = [rand(*p.shape) for p in L.get_all_param_values(net)]
    L.set_all_param_values(net, values)
    inputs = {l.name: l.input_var for l in L.get_all_layers(net) if isinstance(l, L.InputLayer)}
    out = L.get_output(net, deterministic=True).eval({inputs[k]: v for k, v in feed.items()})
    write(name, text, values, feed, out, **kwargs)


def picture(c=3, h=6, w=7):
    return L.InputLayer((None, c, h, w), name='x')


IN = 'name: x, type: Input, shape: [null, 3, 6, 7]'
VEC = 'name: x, type: Input, shape: [null, 4]'
SEQ = 'name: x, type: Input, shape: [null, null, 3]'
X, V, S = rand(2, 3, 6, 7), rand(2, 4), rand(2, 5, 3)


def vector():
    return L.InputLayer((None, 4), name='x')


def sequence():
    return L.InputLayer((None, None, 3), name='x')


# Dense layers and nonlinearities.
ask('dense', VEC + '\nname: y, type: Dense, num_units: 5', L.DenseLayer(vector(), 5), {'x': V})
ask('dense_picture', IN + '\nname: y, type: DenseLayer, num_units: 5, nonlinearity: softmax', L.DenseLayer(picture(), 5, nonlinearity=N.softmax), {'x': X})
ask('dense_no_bias', VEC + '\nname: y, type: Dense, num_units: 5, b: false, nonlinearity: null', L.DenseLayer(vector(), 5, b=None, nonlinearity=None), {'x': V})
ask('pickle_2', VEC + '\nname: y, type: Dense, num_units: 5', L.DenseLayer(vector(), 5), {'x': V}, protocol=2)
ask('pickle_4', VEC + '\nname: y, type: Dense, num_units: 5', L.DenseLayer(vector(), 5), {'x': V}, protocol=4)
for name, f in [('rectify', N.rectify), ('sigmoid', N.sigmoid), ('tanh', N.tanh), ('softmax', N.softmax), ('linear', N.linear), ('leaky_rectify', N.leaky_rectify), ('very_leaky_rectify', N.very_leaky_rectify)]:
    ask('nonlinearity_' + name, VEC + '\nname: y, type: Nonlinearity, nonlinearity: ' + name, L.NonlinearityLayer(vector(), f), {'x': 2 * V})
ask('nonlinearity_LeakyRectify', VEC + '\nname: y, type: Nonlinearity, nonlinearity: {name: LeakyRectify, leakiness: 0.2}', L.NonlinearityLayer(vector(), N.LeakyRectify(0.2)), {'x': 2 * V})
write('nonlinearity_elu', VEC + '\nname: y, type: Nonlinearity, nonlinearity: elu', [], {'x': 2 * V}, T.switch(T.as_tensor(2 * V) > 0, 2 * V, T.expm1(2 * V)).eval(), by='theano')
write('nonlinearity_softplus', VEC + '\nname: y, type: Nonlinearity, nonlinearity: softplus', [], {'x': 2 * V}, np.log1p(np.exp(2 * V)), by='numpy')
selu = 1.0507009873554805 * np.where(V > 0, V, 1.6732632423543772 * (np.exp(V) - 1))
write('nonlinearity_selu', VEC + '\nname: y, type: Nonlinearity, nonlinearity: selu', [], {'x': V}, selu, by='numpy')
write('nonlinearity_scaled_tanh', VEC + '\nname: y, type: Nonlinearity, nonlinearity: {name: ScaledTanH, scale_in: 0.5, scale_out: 2.4}', [], {'x': V}, 2.4 * np.tanh(0.5 * V), by='numpy')
w, b = rand(3, 4), rand(4)
write('dense_leading', SEQ + '\nname: y, type: Dense, num_units: 4, num_leading_axes: 2, nonlinearity: tanh', [w, b], {'x': S}, np.tanh(S.dot(w) + b), by='numpy')

# Convolutions, true ones by default.
for name, n, kwargs, words in [
    ('valid', 3, {}, ''), ('stride', 3, {'stride': 2}, ', stride: 2'), ('strides', (2, 3), {'stride': (2, 1)}, ', stride: [2, 1]'), ('same', 3, {'pad': 'same'}, ', pad: same'),
    ('same_stride', 3, {'pad': 'same', 'stride': 2}, ', pad: same, stride: 2'), ('full', 2, {'pad': 'full'}, ', pad: full'), ('pad', 3, {'pad': (1, 2)}, ', pad: [1, 2]'),
    ('untied', 3, {'untie_biases': True}, ', untie_biases: true'), ('no_bias', 3, {'b': None}, ', b: false'),
]:
    size = list(n) if isinstance(n, tuple) else n
    ask('conv2d_' + name, IN + '\nname: y, type: Conv2D, num_filters: 4, filter_size: %s%s' % (size, words), L.Conv2DLayer(picture(), 4, n, **kwargs), {'x': X})
w, b = rand(4, 3, 3, 3), rand(4)
out = T.nnet.conv2d(T.as_tensor(X), T.as_tensor(w), filter_flip=False) + b[None, :, None, None]
write('conv2d_not_flipped', IN + '\nname: y, type: Conv2D, num_filters: 4, filter_size: 3, flip_filters: false, nonlinearity: null', [w, b], {'x': X}, out.eval(), by='theano')
w, b = rand(4, 2, 3, 3), rand(4)
x4 = rand(2, 4, 6, 7)
halves = [T.nnet.conv2d(T.as_tensor(x4[:, 2 * i:2 * i + 2]), T.as_tensor(w[2 * i:2 * i + 2])).eval() for i in range(2)]
write('conv2d_groups', IN.replace('3,', '4,', 1) + '\nname: y, type: Conv2D, num_filters: 4, filter_size: 3, num_groups: 2, nonlinearity: null', [w, b], {'x': x4},
      np.concatenate(halves, 1) + b[None, :, None, None], by='theano')
x1 = rand(2, 3, 8)
ask('conv1d', 'name: x, type: Input, shape: [null, 3, 8]\nname: y, type: Conv1D, num_filters: 4, filter_size: 3, stride: 2, pad: 1', L.Conv1DLayer(L.InputLayer((None, 3, 8), name='x'), 4, 3, stride=2, pad=1), {'x': x1})
x3, w, b = rand(2, 2, 4, 5, 4), rand(3, 2, 2, 3, 2), rand(3)
out = T.nnet.conv3d(T.as_tensor(x3), T.as_tensor(w)) + b[None, :, None, None, None]
write('conv3d', 'name: x, type: Input, shape: [null, 2, 4, 5, 4]\nname: y, type: Conv3D, num_filters: 3, filter_size: [2, 3, 2], nonlinearity: null', [w, b], {'x': x3}, out.eval(), by='theano')
for flip in [False, True]:
    for stride, crop, words in [(1, 0, ''), (2, 0, ', stride: 2'), (2, 1, ', stride: 2, crop: 1'), (3, 'same', ', stride: 3, crop: same')]:
        w, b = rand(3, 4, 3, 3), rand(4)
        c = 1 if crop == 'same' else crop
        size = [(n - 1) * stride + 3 - 2 * c for n in (6, 7)]
        op = T.nnet.abstract_conv.AbstractConv2d_gradInputs(imshp=(None, 4, size[0], size[1]), kshp=w.shape, subsample=(stride, stride), border_mode=(c, c), filter_flip=not flip)
        out = op(T.as_tensor(w), T.as_tensor(X), size).eval() + b[None, :, None, None]
        write('transposed_%d_%s_%s' % (stride, crop, flip), IN + '\nname: y, type: TransposedConv2D, num_filters: 4, filter_size: 3, nonlinearity: null, flip_filters: %s%s' % (str(flip).lower(), words),
              [w, b], {'x': X}, out, by='theano')
for flip in [False, True]:
    w, b = rand(3, 4, 2, 3), rand(4)
    op = T.nnet.abstract_conv.AbstractConv2d_gradWeights(subsample=(2, 1), border_mode='valid', filter_flip=False)
    kernel = w[:, :, ::-1, ::-1] if flip else w
    out = op(T.as_tensor(X.transpose(1, 0, 2, 3)), T.as_tensor(kernel), [6 - 2, 7 - 2]).eval().transpose(1, 0, 2, 3) + b[None, :, None, None]
    write('dilated_%s' % flip, IN + '\nname: y, type: DilatedConv2D, num_filters: 4, filter_size: [2, 3], dilation: [2, 1], nonlinearity: null, flip_filters: %s' % str(flip).lower(), [w, b], {'x': X}, out, by='theano')
ask('nin', IN + '\nname: y, type: NIN, num_units: 5', L.NINLayer(picture(), 5), {'x': X})
ask('nin_untied', IN + '\nname: y, type: NIN, num_units: 5, untie_biases: true', L.NINLayer(picture(), 5, untie_biases=True), {'x': X})
write('transposed3d', 'name: x, type: Input, shape: [null, 2, 2, 3, 2]\nname: y, type: TransposedConv3D, num_filters: 1, filter_size: 1, stride: 2, b: false, nonlinearity: null',
      [np.ones((2, 1, 1, 1, 1), np.float32)], {'x': x3[:, :, :2, :3, :2]},
      np.insert(np.insert(np.insert(x3[:, :, :2, :3, :2].sum(1, keepdims=True), [1], 0, 2), [1, 2], 0, 3), [1], 0, 4), by='numpy')

# Poolings.
for mode in ['max', 'average_exc_pad', 'average_inc_pad']:
    for name, size, kwargs, words in [
        ('plain', 2, {}, ''), ('stride', 3, {'stride': 2}, ', stride: 2'), ('pad', 3, {'stride': 2, 'pad': 1}, ', stride: 2, pad: 1'),
        ('border', 2, {'ignore_border': False}, ', ignore_border: false'), ('border_stride', 3, {'stride': 2, 'ignore_border': False}, ', stride: 2, ignore_border: false'),
        ('border_far', 2, {'stride': 3, 'ignore_border': False}, ', stride: 3, ignore_border: false'),
    ]:
        ask('pool_%s_%s' % (mode, name), IN + '\nname: y, type: Pool2D, pool_size: %d, mode: %s%s' % (size, mode, words), L.Pool2DLayer(picture(), size, mode=mode, **kwargs), {'x': X})
ask('maxpool2d', IN + '\nname: y, type: MaxPool2D, pool_size: [2, 3]', L.MaxPool2DLayer(picture(), (2, 3)), {'x': X})
ask('maxpool1d', 'name: x, type: Input, shape: [null, 3, 8]\nname: y, type: MaxPool1D, pool_size: 3, stride: 2, ignore_border: false', L.MaxPool1DLayer(L.InputLayer((None, 3, 8), name='x'), 3, stride=2, ignore_border=False), {'x': x1})
out = pool.pool_2d(T.as_tensor(x1[:, :, :, None]), ws=(2, 1), ignore_border=True, mode='average_exc_pad').eval()[:, :, :, 0]
write('pool1d', 'name: x, type: Input, shape: [null, 3, 8]\nname: y, type: Pool1D, pool_size: 2, mode: average_exc_pad', [], {'x': x1}, out, by='theano')
out = pool.pool_3d(T.as_tensor(x3), ws=(2, 2, 2), ignore_border=True, mode='max').eval()
write('maxpool3d', 'name: x, type: Input, shape: [null, 2, 4, 5, 4]\nname: y, type: MaxPool3D, pool_size: 2', [], {'x': x3}, out, by='theano')
out = pool.pool_3d(T.as_tensor(x3), ws=(2, 2, 2), ignore_border=True, mode='average_inc_pad').eval()
write('pool3d', 'name: x, type: Input, shape: [null, 2, 4, 5, 4]\nname: y, type: Pool3D, pool_size: 2, mode: average_inc_pad', [], {'x': x3}, out, by='theano')
ask('globalpool', IN + '\nname: y, type: GlobalPool', L.GlobalPoolLayer(picture()), {'x': X})
ask('globalpool_max', IN + '\nname: y, type: GlobalPool, pool_function: max', L.GlobalPoolLayer(picture(), T.max), {'x': X})
ask('featurepool', 'name: x, type: Input, shape: [null, 4, 6, 7]\nname: y, type: FeaturePool, pool_size: 2', L.FeaturePoolLayer(picture(4), 2), {'x': x4})
ask('featurepool_sum', VEC + '\nname: y, type: FeaturePool, pool_size: 2, pool_function: sum', L.FeaturePoolLayer(vector(), 2, pool_function=T.sum), {'x': V})
ask('featurewta', 'name: x, type: Input, shape: [null, 4, 6, 7]\nname: y, type: FeatureWTA, pool_size: 2', L.FeatureWTALayer(picture(4), 2), {'x': x4})
write('upscale2d', IN + '\nname: y, type: Upscale2D, scale_factor: [2, 3]', [], {'x': X}, X.repeat(2, 2).repeat(3, 3), by='numpy')
write('upscale1d', 'name: x, type: Input, shape: [null, 3, 8]\nname: y, type: Upscale1D, scale_factor: 2', [], {'x': x1}, x1.repeat(2, 2), by='numpy')
write('upscale3d', 'name: x, type: Input, shape: [null, 2, 4, 5, 4]\nname: y, type: Upscale3D, scale_factor: 2', [], {'x': x3}, x3.repeat(2, 2).repeat(2, 3).repeat(2, 4), by='numpy')
out = np.zeros((2, 3, 12, 21), np.float32)
out[:, :, ::2, ::3] = X
write('upscale_dilate', IN + '\nname: y, type: Upscale2D, scale_factor: [2, 3], mode: dilate', [], {'x': X}, out, by='numpy')

# Normalisations and learned numbers. Parameters of BatchNorm are beta, gamma,
# mean and inv_std.
def norm(x, p, shape):
    beta, gamma, mean, inv_std = [q.reshape(shape) for q in p]
    return (x - mean) * (gamma * inv_std) + beta


p = [rand(3), rand(3), rand(3), np.abs(rand(3)) + 0.5]
write('batchnorm', IN + '\nname: y, type: BatchNorm', p, {'x': X}, norm(X, p, (1, 3, 1, 1)), by='numpy')
write('batchnorm_no_beta_gamma', IN + '\nname: y, type: BatchNorm, beta: false, gamma: false', p[2:], {'x': X}, norm(X, [0 * p[0], 1 + 0 * p[0]] + p[2:], (1, 3, 1, 1)), by='numpy')
q = [rand(4) for _ in range(3)] + [np.abs(rand(4)) + 0.5]
write('batchnorm_vector', VEC + '\nname: y, type: BatchNorm', q, {'x': V}, norm(V, q, (1, 4)), by='numpy')
r = [rand(3, 6, 7) for _ in range(3)] + [np.abs(rand(3, 6, 7)) + 0.5]
write('batchnorm_axes', IN + '\nname: y, type: BatchNorm, axes: 0', r, {'x': X}, norm(X, r, (1, 3, 6, 7)), by='numpy')
w = rand(3, 3, 3, 3)
out = T.nnet.conv2d(T.as_tensor(X), T.as_tensor(w)).eval()
write('conv_batch_norm', IN + '\nname: y, type: Conv2D, num_filters: 3, filter_size: 3, batch_norm: true', [w] + p, {'x': X}, np.maximum(norm(out, p, (1, 3, 1, 1)), 0), by='theano and numpy')
w = rand(4, 4)
write('dense_batch_norm', VEC + '\nname: y, type: Dense, num_units: 4, batch_norm: true, nonlinearity: tanh', [w] + q, {'x': V}, np.tanh(norm(V.dot(w), q, (1, 4))), by='numpy')
ask('lrn', 'name: x, type: Input, shape: [null, 4, 6, 7]\nname: y, type: LocalResponseNormalization2D, alpha: 0.1, k: 1.5, beta: 0.6, n: 3', L.LocalResponseNormalization2DLayer(picture(4), alpha=0.1, k=1.5, beta=0.6, n=3), {'x': x4})
ask('lrn_default', 'name: x, type: Input, shape: [null, 4, 6, 7]\nname: y, type: LocalResponseNormalization2DLayer', L.LocalResponseNormalization2DLayer(picture(4)), {'x': 30 * x4})
write('bias', IN + '\nname: y, type: Bias', [p[0]], {'x': X}, X + p[0][:, None, None], by='numpy')
write('bias_axes', IN + '\nname: y, type: Bias, shared_axes: [0, 2]', [r[0][:, 0]], {'x': X}, X + r[0][:, 0][:, None, :], by='numpy')
write('scale', IN + '\nname: y, type: Scale', [p[0]], {'x': X}, X * p[0][:, None, None], by='numpy')
write('prelu', IN + '\nname: y, type: ParametricRectifier', [p[0]], {'x': X}, np.where(X > 0, X, X * p[0][:, None, None]), by='numpy')
write('prelu_vector', VEC + '\nname: y, type: prelu', [q[0]], {'x': V}, np.where(V > 0, V, V * q[0]), by='numpy')
write('rrelu', IN + '\nname: y, type: rrelu', [], {'x': X}, np.where(X > 0, X, 0.55 * X), by='numpy')
write('rrelu_bounds', IN + '\nname: y, type: RandomizedRectifier, lower: 0.1, upper: 0.3', [], {'x': X}, np.where(X > 0, X, 0.2 * X), by='numpy')


def standard(x, axes, eps):
    m = x.mean(axes, keepdims=True)
    return (x - m) / np.sqrt(((x - m) ** 2).mean(axes, keepdims=True) + eps)


write('standardization', IN + '\nname: y, type: Standardization', [], {'x': X}, standard(X, (2, 3), 1e-4), by='numpy')
write('standardization_features', IN + '\nname: y, type: Standardization, axes: features, epsilon: 0.01', [], {'x': X}, standard(X, (1, 2, 3), 0.01), by='numpy')
write('standardization_axes', IN + '\nname: y, type: Standardization, axes: [1, -1]', [], {'x': X}, standard(X, (1, 3), 1e-4), by='numpy')
write('standardization_vector', VEC + '\nname: y, type: Standardization', [], {'x': V}, standard(V, (1,), 1e-4), by='numpy')
ask('dropout', VEC + '\ntype: Dropout, p: 0.3\nname: y, type: Dense, num_units: 5', L.DenseLayer(L.DropoutLayer(vector(), p=0.3), 5), {'x': V})
ask('noise', VEC + '\ntype: GaussianNoise, sigma: 0.3\nname: y, type: Dense, num_units: 5', L.DenseLayer(L.GaussianNoiseLayer(vector(), 0.3), 5), {'x': V})

# Several inputs.
def two(merge):
    a = L.InputLayer((None, 4), name='x')
    return merge([L.DenseLayer(a, 3), L.DenseLayer(a, 3, nonlinearity=N.tanh)])


TWO = VEC + '\nname: a, type: Dense, num_units: 3\nname: b, type: Dense, of: x, num_units: 3, nonlinearity: tanh\n'
ask('concat', TWO + 'name: y, type: Concat, of: [a, b]', two(L.ConcatLayer), {'x': V})
ask('sum', TWO + 'name: y, type: ElemwiseSum, of: [a, b]', two(L.ElemwiseSumLayer), {'x': V})
ask('sum_coeffs', TWO + 'name: y, type: ElemwiseSum, of: [a, b], coeffs: [2, -0.5]', two(lambda ls: L.ElemwiseSumLayer(ls, coeffs=[2, -0.5])), {'x': V})
ask('merge_mul', TWO + 'name: y, type: ElemwiseMerge, of: [a, b], merge_function: mul', two(lambda ls: L.ElemwiseMergeLayer(ls, T.mul)), {'x': V})
ask('merge_maximum', TWO + 'name: y, type: ElemwiseMerge, of: [a, b], merge_function: maximum', two(lambda ls: L.ElemwiseMergeLayer(ls, T.maximum)), {'x': V})
# The parameters of what is taken first come first, whatever was made first.
ask('order', VEC + '\nname: a, type: Dense, num_units: 3\nname: b, type: Dense, of: x, num_units: 2\nname: y, type: Concat, of: [b, a]',
    (lambda x: (lambda a, b: L.ConcatLayer([b, a]))(L.DenseLayer(x, 3), L.DenseLayer(x, 2)))(vector()), {'x': V})
x, z = vector(), L.InputLayer((None, 3), name='z')
ask('two_inputs', VEC + '\nname: z, type: Input, shape: [null, 3]\nname: y, type: Concat, of: [x, z]', L.ConcatLayer([x, z]), {'x': V, 'z': rand(2, 3)})
x = vector()
a = L.DenseLayer(x, 4)
ask('share', VEC + '\nname: a, type: Dense, num_units: 4\nname: y, type: Dense, num_units: 4, share: a', L.DenseLayer(a, 4, W=a.W, b=a.b), {'x': V})

# Shapes.
ask('flatten', IN + '\nname: y, type: Flatten', L.FlattenLayer(picture()), {'x': X})
ask('flatten_outdim', IN + '\nname: y, type: Flatten, outdim: 3', L.FlattenLayer(picture(), outdim=3), {'x': X})
ask('reshape', IN + '\nname: y, type: Reshape, shape: [[0], 2, -1, [3]]', L.ReshapeLayer(picture(), ([0], 2, -1, [3])), {'x': X})
ask('dimshuffle', IN + '\nname: y, type: Dimshuffle, pattern: [0, 3, x, 1, 2]', L.DimshuffleLayer(picture(), (0, 3, 'x', 1, 2)), {'x': X})
write('dimshuffle_drop', 'name: x, type: Input, shape: [null, 1, 6, 7]\nname: y, type: Dimshuffle, pattern: [0, 3, 2]', [], {'x': X[:, :1]}, X[:, 0].transpose(0, 2, 1), by='numpy')
ask('pad', IN + '\nname: y, type: Pad, width: 2, val: 0.5', L.PadLayer(picture(), 2, 0.5), {'x': X})
write('pad_sides', IN + '\nname: y, type: Pad, width: [1, 0, [2, 3]], batch_ndim: 1', [], {'x': X}, np.pad(X, ((0, 0), (1, 1), (0, 0), (2, 3)), 'constant'), by='numpy')
ask('slice_one', IN + '\nname: y, type: Slice, indices: 1, axis: 2', L.SliceLayer(picture(), 1, axis=2), {'x': X})
ask('slice_last', IN + '\nname: y, type: Slice, indices: -1', L.SliceLayer(picture(), -1), {'x': X})
ask('slice_range', IN + '\nname: y, type: Slice, start: 1, stop: -1, step: 2, axis: 3', L.SliceLayer(picture(), slice(1, -1, 2), axis=3), {'x': X})
ask('slice_backwards', IN + '\nname: y, type: Slice, step: -1, axis: 3', L.SliceLayer(picture(), slice(None, None, -1), axis=3), {'x': X})
x = L.InputLayer((None, 3), input_var=T.imatrix(), name='x')
ask('embedding', 'name: x, type: Input, shape: [null, 3], dtype: int32\nname: y, type: Embedding, input_size: 6, output_size: 2', L.EmbeddingLayer(x, 6, 2), {'x': np.array([[0, 5, 2], [1, 1, 3]], np.int32)})

# Recurrent layers; the first states are parameters.
for name, cls, kind in [('recurrent', L.RecurrentLayer, 'Recurrent'), ('lstm', L.LSTMLayer, 'LSTM'), ('gru', L.GRULayer, 'GRU')]:
    kwargs, words = ({'peepholes': False}, ', peepholes: false') if kind == 'LSTM' else ({}, '')
    text = 'type: %s, num_units: 4%s' % (kind, words)
    ask(name, SEQ + '\nname: y, ' + text, cls(sequence(), 4, **kwargs), {'x': S})
    ask(name + '_back', SEQ + '\nname: y, ' + text + ', backwards: true', cls(sequence(), 4, backwards=True, **kwargs), {'x': S})
    ask(name + '_last', SEQ + '\n' + text + '\nname: y, type: Slice, indices: -1, axis: 1', L.SliceLayer(cls(sequence(), 4, **kwargs), -1, 1), {'x': S})
    net = cls(sequence(), 4, backwards=True, **kwargs)
    ask(name + '_back_final', SEQ + '\nname: y, ' + text + ', backwards: true, only_return_final: true', L.SliceLayer(net, 0, 1), {'x': S})


def lstm(x, p, back=False):
    """With peepholes as Lasagne 0.2 has them: in 0.1 that of the output gate comes behind its sigmoid."""
    wi, ui, bi, wf, uf, bf, wc, uc, bc, wo, uo, bo, pi, pf, po, c0, h0 = p
    sig = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    c, h = c0.repeat(len(x), 0), h0.repeat(len(x), 0)
    out = np.zeros(x.shape[:2] + (len(bi),), np.float32)
    for t in range(x.shape[1])[::-1 if back else 1]:
        i, f = sig(x[:, t].dot(wi) + h.dot(ui) + bi + c * pi), sig(x[:, t].dot(wf) + h.dot(uf) + bf + c * pf)
        c = f * c + i * np.tanh(x[:, t].dot(wc) + h.dot(uc) + bc)
        h = sig(x[:, t].dot(wo) + h.dot(uo) + bo + c * po) * np.tanh(c)
        out[:, t] = h
    return out


for back in [False, True]:
    p = []
    for _ in range(4):
        p += [rand(3, 4), rand(4, 4), rand(4)]
    p += [rand(4), rand(4), rand(4), rand(1, 4), rand(1, 4)]
    write('lstm_peepholes' + ('_back' if back else ''), SEQ + '\nname: y, type: LSTM, num_units: 4, backwards: ' + str(back).lower(), p, {'x': S}, lstm(S, p, back), by='numpy')
ask('recurrent_tanh', SEQ + '\nname: y, type: Recurrent, num_units: 4, nonlinearity: tanh, b: false', L.RecurrentLayer(sequence(), 4, nonlinearity=N.tanh, b=None), {'x': S})
ask('lstm_rectify', SEQ + '\nname: y, type: LSTM, num_units: 4, peepholes: false, nonlinearity: rectify', L.LSTMLayer(sequence(), 4, peepholes=False, nonlinearity=N.rectify), {'x': S})
