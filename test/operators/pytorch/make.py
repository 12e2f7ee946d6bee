"""Writes the operator cases of PyTorch: small modules, scripted or traced, with
arrays that PyTorch itself computed. Written with Debian 12's python3-torch
(PyTorch 1.13.1):

    /usr/bin/python3 test/operators/pytorch/make.py [NAME...]

Without names it writes all of them anew. Seeds are fixed by name, so that a case
stays the same whatever is added. A case is a folder NAME with model.pt, NAME.npz
with the arrays in/INPUT and out/OUTPUT, and NAME.json where something is to be
said: the shapes of inputs, -1 for what is free, where the network does not tell
them. "traced" in a name means torch.jit.trace, else torch.jit.script.
"""

import io
import json
import linecache
import os
import shutil
import sys
import zipfile
import zlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from typing import Dict, List, NamedTuple, Optional, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
ONLY = set(sys.argv[1:])
SEEN = set()


def flat(out):
    """Gives the tensors of a result by the names that the importer has for them."""
    found = {}

    def walk(name, v):
        if isinstance(v, torch.Tensor):
            n = len(found)
            found[name if n == 0 or name != "output" else f"output_{n}"] = v
        elif isinstance(v, dict):
            for k, e in v.items():
                walk(k, e)
        elif hasattr(v, "_fields"):
            for k in v._fields:
                walk(k, getattr(v, k))
        else:
            for e in v:
                walk(name, e)

    walk("output", out)
    return found


def slim(path):
    """Leaves out which line of which source each line of code came from, half of a
    small archive, and packs the code."""
    with zipfile.ZipFile(path) as z:
        kept = [(i.filename, z.read(i)) for i in z.infolist() if not i.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        for name, data in kept:
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED if name.endswith(".py") else zipfile.ZIP_STORED)


def write(name, module, inputs, shapes=None, traced=False, atol=None, single=None, train=False, names=None):
    """Writes a case. inputs are by the names of forward's parameters."""
    assert name not in SEEN, name
    SEEN.add(name)
    if ONLY and name not in ONLY:
        return
    if not train:
        module.eval()
    args = tuple(inputs.values())
    with torch.no_grad():
        want = flat(module(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args]))
        made = torch.jit.trace(module, args, check_trace=False) if traced else torch.jit.script(module)
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    made.save(os.path.join(folder, "model.pt"))
    slim(os.path.join(folder, "model.pt"))
    entries = {f"in/{k}": v for k, v in inputs.items()}
    if names:
        entries = {f"in/{k}": v for k, v in names.items()}
    entries.update({f"out/{k}": v for k, v in want.items()})
    with zipfile.ZipFile(os.path.join(HERE, name + ".npz"), "w", zipfile.ZIP_DEFLATED) as z:
        for k, v in entries.items():
            b = io.BytesIO()
            np.lib.format.write_array(b, np.ascontiguousarray(v.numpy()) if v.dim() else v.numpy())
            z.writestr(zipfile.ZipInfo(k + ".npy", (1980, 1, 1, 0, 0, 0)), b.getvalue())
    said = {k: v for k, v in {"shapes": shapes, "atol": atol, "single": single}.items() if v is not None}
    path = os.path.join(HERE, name + ".json")
    if os.path.exists(path):
        os.remove(path)
    if said:
        with open(path, "w") as f:
            json.dump(said, f)
            f.write("\n")


def seed(name):
    torch.manual_seed(zlib.crc32(name.encode()))


def code(name, body, shape=(2, 3, 4), low=-2.0, high=2.0, free=True, single=None, **more):
    """Writes a case of code alone: body is what forward(x) does."""
    seed(name)
    x = torch.rand(shape) * (high - low) + low
    source = "def forward(self, x):\n" + "".join("  " + line + "\n" for line in body.strip().split("\n"))
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # where the scripting finds it
    space = dict(globals())
    exec(compile(source, file, "exec"), space)
    module = type("Code", (nn.Module,), {"forward": space["forward"]})()
    shapes = {"x": ([-1] if free else [shape[0]]) + list(shape[1:])}
    write(name, module, {"x": x}, shapes=shapes, single=single, **more)


def layer(name, module, shape, traced=False, shapes=None, free=None, whole=None, **more):
    """Writes a case of a module. Its input's shape is to be found out, unless
    free says how many of its dimensions are."""
    seed(name)
    made = module()
    for m in made.modules():
        if hasattr(m, "running_mean") and m.running_mean is not None:
            m.running_mean.uniform_(-1, 1)
            m.running_var.uniform_(0.5, 2)
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)) and m.weight is not None:
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.5, 0.5)
    x = torch.randint(0, whole, shape) if whole else torch.randn(shape)
    if free is not None:
        shapes = {"x": [-1] * free + list(shape[free:])}
    write(name, made, {"x": x}, shapes=shapes, traced=traced, **more)


class One(nn.Module):
    """A module around another whose input is called x."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def both(name, module, shape, **more):
    """Writes a module scripted and traced."""
    layer(name, lambda: One(module()), shape, **more)
    layer(name + "_traced", lambda: One(module()), shape, traced=True, **more)


# Functions of one tensor.
code("unary_plain", """
return (torch.abs(x), torch.neg(x), torch.sign(x), torch.relu(x), torch.exp(x), torch.sin(x), torch.cos(x), torch.tan(x * 0.5),
  torch.atan(x), torch.sinh(x), torch.cosh(x), torch.asinh(x), torch.sigmoid(x), torch.tanh(x), torch.erf(x), torch.reciprocal(x),
  torch.floor(x), torch.ceil(x), torch.round(x), torch.trunc(x), torch.frac(x), torch.square(x), torch.exp2(x), torch.expm1(x))
""")
code("unary_positive", """
return (torch.log(x), torch.sqrt(x), torch.rsqrt(x), torch.log2(x), torch.log10(x), torch.log1p(x), torch.acosh(x + 1.0),
  torch.asin(x * 0.3), torch.acos(x * 0.3), torch.atanh(x * 0.3), torch.logit(x * 0.3), torch.logit(x * 0.3, 0.2), torch.erfc(x))
""", low=0.2)
code("unary_aliases", """
return (torch.absolute(x), torch.negative(x), torch.sgn(x), torch.fix(x), torch.deg2rad(x), torch.rad2deg(x), torch.clip(x, -1, 1),
  torch.special.expit(x), torch.special.erf(x), torch.sub(x, 1, alpha=2), torch.subtract(x, x), torch.multiply(x, 2), torch.true_divide(x, 3), torch.divide(x, 3))
""")
code("unary_tests", """
y = x / torch.relu(x)
z = torch.log(x)
return (torch.isnan(z), torch.isinf(y), torch.isfinite(y), torch.logical_not(x > 0), torch.bitwise_not(x > 0), torch.bitwise_not(x.long()),
  torch.nan_to_num(z), torch.nan_to_num(y, 1.0, 2.0, 3.0))
""")
code("unary_in_place", """
y = x * 2
a = y.relu_()
y.add_(1)
z = y.mul_(x).sub_(0.5).div_(2).clamp_(-1, 1)
w = torch.sigmoid_(x + 1)
return (a, y, z, w.tanh_().neg_().abs_().exp_())
""")
code("whole_numbers", """
n = (x * 5).long()
i = n.int()
return (torch.abs(n), -n, torch.sign(n), torch.relu(n), torch.floor_divide(n, 3), n % 3, torch.remainder(n, -3), n // 2, n / 2, n * 2 + 1, n.float() / 3,
  torch.maximum(n, n * 0), torch.clamp(n, -2, 2), n + x, n * 1.5, torch.div(n, 2, rounding_mode="trunc"), torch.div(n, 2, rounding_mode="floor"),
  torch.pow(n, 2), n == i, torch.sqrt(torch.abs(n)), torch.sum(n).view(1), torch.cumsum(n, 1), torch.prod(n, 1), (n > 0).sum().view(1), torch.exp(n), torch.fmod(n, 3))
""", free=False)

# Activations.
code("activations", """
return (F.relu6(x * 4), F.hardtanh(x), F.hardtanh(x, -0.5, 0.7), F.hardswish(x * 2), F.hardsigmoid(x * 2), F.silu(x), F.mish(x), F.gelu(x),
  F.gelu(x, approximate="tanh"), F.elu(x), F.elu(x, 0.5), F.selu(x), F.celu(x), F.celu(x, 0.5), F.leaky_relu(x), F.leaky_relu(x, 0.3),
  F.rrelu(x), F.softplus(x), F.softplus(x, 2.0, 1.0), F.threshold(x, 0.5, -3.0), F.softshrink(x), F.hardshrink(x), F.logsigmoid(x),
  F.softsign(x), F.tanhshrink(x), F.prelu(x, torch.tensor([0.3])))
""")
code("softmaxes", """
return (torch.softmax(x, 1), torch.softmax(x, -1), torch.log_softmax(x, 2), F.softmin(x, 1), F.softmax(x, 0), torch.softmax(x.half().float(), 1, dtype=torch.float32),
  torch.special.softmax(x, 1), torch.special.log_softmax(x, 1), F.glu(x, 2), F.normalize(x, 2.0, 1), torch.logsumexp(x, [1]), torch.logsumexp(x, 1, True))
""", single="softmax over the batch")
both("prelu", lambda: nn.PReLU(3), (2, 3, 4), free=1)
code("dropouts", """
return F.dropout(x, 0.5, False) + F.dropout2d(x.unsqueeze(0), 0.5, False)[0] + F.alpha_dropout(x, 0.5, False) + F.feature_alpha_dropout(x, 0.5, False)
""")
layer("dropout_scripted", lambda: One(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Dropout(0.2, inplace=True))), (2, 4))

# Two tensors.
code("binary", """
y = x * 2 - 1
z = torch.arange(4, dtype=torch.float32)
return (x + y, torch.add(x, y, alpha=2), x - y, 3 - x, torch.rsub(x, y), x * z, x / y, x / 3, torch.div(x, y, rounding_mode="floor"),
  torch.div(x, y, rounding_mode="trunc"), torch.floor_divide(x, y), x % 1.5, torch.remainder(x, y), torch.fmod(x, y), torch.pow(x, 2), torch.pow(x, 3),
  torch.pow(torch.abs(x), 0.5), torch.pow(torch.abs(x), y), 2 ** x, torch.maximum(x, y), torch.minimum(x, y), torch.max(x, y), torch.min(x, y),
  torch.fmax(x, y), torch.fmin(x, y), torch.lerp(x, y, 0.3), torch.addcmul(x, y, z, value=0.5), torch.addcdiv(x, y, z + 1, value=0.5), torch.atan2(x, y))
""")
code("binary_compare", """
y = x * 2 - 1
a = x > 0
b = y > 0
return (x == y, x != y, x < y, x > 0.5, x <= y, x >= y, a & b, a | b, a ^ b, torch.logical_and(x, y), torch.logical_or(a, b), torch.logical_xor(a, b),
  torch.bitwise_and(a, b), torch.bitwise_or(a, b), torch.bitwise_xor(a, b), a == b, a > b, ~a, a.float() + 1, a + 1, a * x, a + b)
""")
code("clamps", """
y = torch.zeros_like(x)
return (torch.clamp(x, -1, 1), torch.clamp(x, min=0), torch.clamp(x, max=0.5), torch.clamp_min(x, 0.1), torch.clamp_max(x, 0.1), torch.clamp(x, y, y + 1))
""")
code("wheres", """
m = x > 0
return (torch.where(m, x, -x), torch.where(m, x, torch.zeros([1])), x.masked_fill(m, -1.0), x.masked_fill(m[:, :1], 3), torch.where(m, 1.0, 0.0))
""")

# Products.
code("products", """
a = x.transpose(1, 2)
v = torch.arange(4, dtype=torch.float32)
return (torch.matmul(x, a), torch.bmm(x, a), torch.baddbmm(torch.ones(2, 3, 3), x, a, beta=0.5, alpha=2.0), x[0].mm(a[0]), torch.addmm(torch.ones(3), x[0], a[0]),
  torch.matmul(x, v), torch.mv(x[0], v), torch.dot(v, v).view(1), torch.outer(v, x[0, 0]), x @ a, torch.inner(v, v).view(1), torch.addmv(torch.ones(3), x[0], v))
""", free=False)
code("einsums", """
a = x.transpose(1, 2)
return (torch.einsum("bij,bjk->bik", [x, a]), torch.einsum("bij->bji", [x]), torch.einsum("bij,bij->b", [x, x]), torch.einsum("bij, bkj", [x, x]).view(9),
  torch.einsum("BID,BDj->BIj", [x, a]), torch.einsum("...ij,...jk->...ik", [x, a]), torch.einsum("...i->...", [x]))
""", free=False)
code("distances", """
y = x * x + 0.5
return (F.cosine_similarity(x, y, 1), F.cosine_similarity(x, y, -1), F.pairwise_distance(x, y), F.pairwise_distance(x, y, 1.0, 1e-6, True), torch.norm(x).view(1),
  torch.norm(x, 2, 1), torch.norm(x, 1, 1), x.norm(3.0, [1, 2], True), torch.linalg.vector_norm(x, 2.0, [1]), torch.linalg.norm(x[0, 0]).view(1),
  torch.linalg.vector_norm(x, float("inf"), [1, 2]))
""", free=False)
both("linear", lambda: nn.Linear(4, 3), (2, 4))
layer("linear_3d", lambda: One(nn.Linear(4, 3, bias=False)), (2, 5, 4), free=2)
both("embedding", lambda: nn.Embedding(10, 4), (2, 5), whole=10)
both("embedding_linear", lambda: nn.Sequential(nn.Embedding(10, 4, padding_idx=0), nn.Linear(4, 2)), (2, 5), whole=10)


class Bilinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Bilinear(4, 3, 2)

    def forward(self, x, y):
        return self.inner(x, y)


seed("bilinear")
write("bilinear", Bilinear(), {"x": torch.randn(2, 4), "y": torch.randn(2, 3)}, shapes={"x": [-1, 4], "y": [-1, 3]})
layer("weight_norm_traced", lambda: One(nn.utils.weight_norm(nn.Conv1d(4, 3, 3))), (2, 4, 7), traced=True)

# Convolutions and poolings.
for n, cls, tcls, size in ((1, nn.Conv1d, nn.ConvTranspose1d, (9,)), (2, nn.Conv2d, nn.ConvTranspose2d, (9, 8)), (3, nn.Conv3d, nn.ConvTranspose3d, (5, 6, 4))):
    both(f"conv{n}d", lambda: cls(4, 6, 3, stride=2, padding=1, groups=2), (2, 4) + size)
    layer(f"conv{n}d_dilated", lambda: One(cls(2, 3, 2, dilation=2, bias=False)), (2, 2) + size)
    both(f"conv_transpose{n}d", lambda: tcls(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4) + size)
layer("conv2d_same", lambda: One(nn.Sequential(nn.Conv2d(2, 3, (3, 4), padding="same"), nn.Conv2d(3, 2, 3, padding="valid"))), (2, 2, 9, 8))
layer("conv2d_reflect", lambda: One(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.Conv2d(3, 2, 3, padding=2, padding_mode="replicate"))), (2, 2, 9, 8))
layer("conv2d_unbatched", lambda: One(nn.Conv2d(2, 3, 3)), (2, 9, 8), shapes={"x": [2, -1, -1]}, single="it has no batch")
for n, maxi, avg, size in ((1, nn.MaxPool1d, nn.AvgPool1d, (11,)), (2, nn.MaxPool2d, nn.AvgPool2d, (11, 10)), (3, nn.MaxPool3d, nn.AvgPool3d, (7, 6, 8))):
    both(f"max_pool{n}d", lambda: maxi(3, 2, 1), (2, 2) + size, free=1)
    layer(f"max_pool{n}d_ceil", lambda: One(nn.Sequential(maxi(3, 2, ceil_mode=True), maxi(2, padding=1, ceil_mode=True))), (2, 2) + size, free=1)
    both(f"avg_pool{n}d", lambda: avg(3, 2, 1), (2, 2) + size, free=1)
    layer(f"avg_pool{n}d_ceil", lambda: One(nn.Sequential(avg(3, 2, 1, ceil_mode=True), avg(2, ceil_mode=True, count_include_pad=False))), (2, 2) + size, free=1)
layer("max_pool2d_dilated", lambda: One(nn.MaxPool2d(2, 1, dilation=2)), (2, 2, 6, 7), free=4)
layer("max_pool2d_ceil_free", lambda: One(nn.MaxPool2d(3, 2, ceil_mode=True)), (2, 2, 8, 9), shapes={"x": [-1, 2, -1, -1]})
layer("avg_pool2d_ceil_free", lambda: One(nn.AvgPool2d(3, 2, 1, ceil_mode=True)), (2, 2, 8, 9), shapes={"x": [-1, 2, -1, -1]})
layer("avg_pool2d_divisor", lambda: One(nn.AvgPool2d(2, divisor_override=3)), (2, 2, 6, 7), free=4)
layer("max_pool_indices", lambda: One(nn.Sequential(nn.MaxPool2d(2, return_indices=True))), (2, 2, 6, 7), free=4)
layer("max_pool1d_indices", lambda: One(nn.Sequential(nn.MaxPool1d(2, return_indices=True))), (2, 2, 6), free=3)
layer("max_pool3d_indices", lambda: One(nn.Sequential(nn.MaxPool3d(2, return_indices=True))), (2, 2, 4, 4, 6), free=5)
both("adaptive_pools_1", lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1)), (2, 3, 6, 7))
for n, avg, maxi, size in ((1, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, (12,)), (2, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, (12, 10)), (3, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d, (8, 6, 4))):
    layer(f"adaptive_avg_pool{n}d", lambda: One(nn.Sequential(avg(4), avg(2))), (2, 2) + size, free=1)
    layer(f"adaptive_avg_pool{n}d_free", lambda: One(avg(3)), (2, 2) + size, shapes={"x": [-1, 2] + [-1] * n})
    layer(f"adaptive_max_pool{n}d", lambda: One(nn.Sequential(maxi(3))), (2, 2) + size, free=1)
layer("adaptive_avg_pool2d_sides_traced", lambda: One(nn.AdaptiveAvgPool2d((None, 3))), (2, 2, 6, 9), free=1, traced=True)
layer("lp_pool2d", lambda: One(nn.LPPool2d(2, 2)), (2, 2, 6, 6), free=1)
code("legacy_adaptive", "return torch._adaptive_avg_pool2d(x, [2, 2])", shape=(2, 3, 4, 6))
code("legacy_adaptive3d", "return torch._adaptive_avg_pool3d(x, [2, 2, 2])", shape=(2, 3, 4, 6, 2))

# Sizes of pictures.
code("upsample_nearest", """
return (F.interpolate(x, scale_factor=2.0), F.interpolate(x, size=[7, 9]), F.interpolate(x, scale_factor=1.5), F.interpolate(x[:, :, 0], scale_factor=2.0),
  F.interpolate(x.unsqueeze(2), scale_factor=2.0), F.interpolate(x, size=[7, 9], mode="nearest-exact"), F.interpolate(x[:, :, 0], scale_factor=2.0, mode="nearest-exact"),
  F.interpolate(x.unsqueeze(2), scale_factor=2.0, mode="nearest-exact"))
""", shape=(2, 2, 4, 5))
code("upsample_linear", """
return (F.interpolate(x, scale_factor=2.0, mode="bilinear"), F.interpolate(x, size=[7, 9], mode="bilinear", align_corners=True),
  F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False), F.interpolate(x, size=[3, 2], mode="bilinear", align_corners=False),
  F.interpolate(x[:, :, 0], scale_factor=2.0, mode="linear", align_corners=False), F.interpolate(x.unsqueeze(2), size=[2, 8, 8], mode="trilinear", align_corners=False),
  F.interpolate(x, scale_factor=2.0, mode="bicubic", align_corners=False), F.interpolate(x, size=[7, 9], mode="bicubic", align_corners=True))
""", shape=(2, 2, 4, 6))
layer("upsample_module", lambda: One(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))), (2, 2, 4, 5))
layer("upsample_module_traced", lambda: One(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))), (2, 2, 4, 5), traced=True)


class LikeOther(nn.Module):
    """A picture is brought to the size of another, as feature pyramids do."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 3, 3, padding=1)
        self.b = nn.Conv2d(2, 3, 3, stride=2, padding=1)

    def forward(self, x):
        y = self.a(x)
        z = F.interpolate(self.b(x), size=[y.size(2), y.size(3)], mode="bilinear", align_corners=False)
        return y + z + F.interpolate(self.b(x), size=y.shape[-2:])


layer("upsample_like", LikeOther, (2, 2, 7, 10))
layer("upsample_like_traced", LikeOther, (2, 2, 7, 10), traced=True)
code("pads", """
return (F.pad(x, [1, 2]), F.pad(x, [1, 0, 0, 2], value=3.0), F.pad(x, [1, 2, 1, 1], mode="reflect"), F.pad(x, [1, 2, 1, 1], mode="replicate"), F.pad(x, [-1, 0]),
  F.pad(x[:, :, 0], [1, 2], mode="reflect"), F.pad(x[:, :, 0], [1, 2], mode="replicate"), F.pad(x.unsqueeze(2), [1, 1, 1, 1, 1, 1], mode="replicate"))
""", shape=(2, 2, 4, 5))
layer("pad_modules", lambda: One(nn.Sequential(nn.ZeroPad2d(1), nn.ReflectionPad2d((1, 2, 1, 0)), nn.ReplicationPad2d(1), nn.ConstantPad2d(1, 0.5))), (2, 2, 4, 5), free=1)
layer("pad_modules_traced", lambda: One(nn.Sequential(nn.ZeroPad2d(1), nn.ReflectionPad2d((1, 2, 1, 0)), nn.ReplicationPad2d(1), nn.ConstantPad2d(1, 0.5))), (2, 2, 4, 5), free=1, traced=True)
layer("pad_modules_3d", lambda: One(nn.Sequential(nn.ReflectionPad3d(1), nn.ReplicationPad3d(1))), (2, 2, 4, 5, 3), free=1)
code("grid_sample", """
g = torch.tanh(x[:, :2].permute(0, 2, 3, 1))
return (F.grid_sample(x, g, align_corners=False), F.grid_sample(x, g, mode="nearest", padding_mode="border", align_corners=True), F.grid_sample(x, g, padding_mode="reflection", align_corners=False))
""", shape=(2, 3, 4, 5))
code("pixel_shuffles", "return (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2), F.channel_shuffle(x, 4))", shape=(2, 8, 4, 6))

# Means and variances.
both("batch_norm_1d", lambda: nn.BatchNorm1d(3), (2, 3), free=1)
both("batch_norm_2d", lambda: nn.BatchNorm2d(3, eps=0.01), (2, 3, 4, 5))
layer("batch_norm_3d", lambda: One(nn.BatchNorm3d(3, affine=False)), (2, 3, 2, 4, 5))
layer("batch_norm_statistics", lambda: One(nn.BatchNorm2d(3, track_running_stats=False)), (2, 3, 4, 5), free=1, single="it takes the statistics of the batch")
both("instance_norm", lambda: nn.Sequential(nn.InstanceNorm2d(3), nn.InstanceNorm2d(3, affine=True)), (2, 3, 4, 5), free=1)
layer("instance_norm_running", lambda: One(nn.InstanceNorm2d(3, track_running_stats=True)), (2, 3, 4, 5))
both("layer_norm", lambda: nn.Sequential(nn.LayerNorm(4), nn.LayerNorm([3, 4], elementwise_affine=False)), (2, 3, 4), free=1)
both("group_norm", lambda: nn.GroupNorm(2, 4), (2, 4, 3, 5))
layer("group_norm_plain", lambda: One(nn.GroupNorm(2, 4, affine=False)), (2, 4, 5), free=1)
layer("local_response_norm", lambda: One(nn.LocalResponseNorm(3)), (2, 5, 4, 4), free=1)
code("native_norms", """
w = torch.ones([3])
a, b, c = torch.native_layer_norm(x, [4], torch.ones([4]), torch.zeros([4]), 1e-05)
d, e, f = torch.native_batch_norm(x, w, w, w * 0.5, w * 2, False, 0.1, 1e-05)
return (a, d)
""")

# Shapes.
code("reshapes", """
b = x.size(0)
return (x.view(b, -1), x.view(-1, 12), x.reshape(b, 4, 3), x.flatten(1), torch.flatten(x, 0, 1), x.unflatten(2, [2, 2]), x.view(b, 3, 2, -1), x.reshape(-1),
  x.view(x.shape[0] * 3, 4), x.view_as(x), x.reshape_as(x), torch.flatten(x, 1, 1), x.view(x.size()), x.reshape(3, b, 4).view(-1, 12))
""")
code("orders", """
return (x.permute(0, 2, 1), x.transpose(1, 2), torch.swapaxes(x, 0, 2) .transpose(0, 2), x.swapdims(1, 2), x.movedim(1, 2), torch.movedim(x, [0, 1], [1, 2]).transpose(0, 1), torch.moveaxis(x, 1, 2),
  x.mT, x.view(-1, 12).t().t(), x.view(-1, 12).T.t(), x.contiguous(), x.clone(), x.detach())
""")
code("squeezes", """
y = x.unsqueeze(1)
return (y, y.squeeze(1), y.squeeze(), y.squeeze(0), x.unsqueeze(-1), x[:, :1].squeeze(1), x[:, 0:1, 0:1].squeeze(-1))
""", single="squeeze() is for a batch of several")
code("expands", """
y = x[:, :1]
return (y.expand(-1, 5, -1), y.expand(x.size(0), 3, 4), y.expand_as(x), x.repeat(1, 2, 1), x.repeat(2, 1, 1, 1), torch.tile(x, [2, 2]), x.repeat_interleave(2, 1), x.repeat_interleave(3, dim=2),
  y + x)
""", free=False)
code("expands_free", """
b = x.size(0)
t = torch.arange(4, dtype=torch.float32).view(1, 1, 4)
return (t.expand(b, 2, 4), torch.cat([t.expand(b, -1, -1), x], 1), t.repeat(b, 1, 1), x.repeat(1, 2, 1), t.repeat_interleave(b, 0))
""")
code("types", """
return (x.float(), x.double(), x.half().float(), x.long(), x.int(), x.to(torch.bool), x.to(torch.float64), x.to(torch.int32), x.type_as(x.double()), x.to(x.long()), x.to("cpu"), x.to(torch.device("cpu"), torch.float32), x.cpu())
""")
code("triangles", """
return (torch.tril(x), torch.triu(x), torch.tril(x, 1), torch.triu(x, -1), torch.triu(x > 0, 1), torch.diagonal(x[:, :, :3], 0, 1, 2))
""")
code("flips", """
return (torch.flip(x, [1]), x.flip([1, 2]), torch.roll(x, 1, 1), torch.roll(x, [1, -2], [1, 2]), x.roll([5], [2]))
""")
code("windows", "return (x.unfold(2, 2, 1), x.unfold(1, 2, 1), x.unfold(2, 3, 2))")

# Parts and wholes.
code("joins", """
a, b = torch.chunk(x, 2, 2)
c, d, e = torch.unbind(x, 1)
f = torch.split(x, 2, 1)
g, h = torch.split(x, [1, 3], 2)
i = torch.tensor_split(x, 3, 2)
return (torch.cat([a, b], 2), torch.cat([x, x * 2], 1), torch.stack([c, d], 1), torch.stack([c, d], -1), f[0], f[1], g, h, torch.hstack([x, x]), torch.concat([x, x], 2),
  i[0], i[2], torch.vstack([e.t(), e.t()]).t(), x.chunk(3, 2)[1], x.split(3, 2)[1])
""")
code("slices", """
return (x[:, 1], x[:, -1], x[:, :, 1:3], x[:, :, ::2], x[:, 1:, :-1], x[:, None], x[..., 0], x[:, :, -2:], x.narrow(2, 1, 2), x.select(1, 2), x[:, :100], torch.select(x, 2, -2))
""")
code("slice_writes", """
y = x.clone()
y[:, 0] = 1.0
y[:, :, 1:3] = y[:, :, 1:3] * 2
y[:, 1, 2] += 5
z = torch.zeros_like(x)
z[:, 1] = x[:, 2]
z[0].fill_(3)
w = x * 1
v = w[:, 1:]
v.mul_(2)
u = w.view(-1, 12)
u.add_(1)
t = w.transpose(1, 2)
t[:, 0] = 0.0
q = torch.zeros([3, 4])
q.fill_diagonal_(2.0)
q[0].zero_()
return (y, z, w, v, q, x.clone().zero_(), torch.select_scatter(x, x[:, 0] * 2, 1, 1))
""", free=False)
code("grids", """
a, b = torch.meshgrid([torch.arange(3), torch.arange(4)], indexing="ij")
c, d = torch.meshgrid([torch.arange(3), torch.arange(4)], indexing="xy")
return (a + x, b * x, c.t() + x, d.t() * x)
""")

# Elements chosen by tensors.
code("indices", """
i = torch.tensor([2, 0, 1, 1])
j = torch.tensor([1, 3, 0, 2])
k = torch.tensor([[0, 1], [2, 0]])
return (x[:, i], x[:, :, j], x[:, i, j], torch.index_select(x, 1, i), x[i % 2], x[:, k], x[i % 2, i], x[i % 2, :, j], x[:, i, None], x[0, i], torch.gather(x, 2, x.long().abs()),
  torch.take_along_dim(x, x.long().abs(), 2), x.gather(1, x[:, :2].long().abs()))
""", free=False)
code("indices_free", """
i = torch.tensor([2, 0, 1, 1])
j = torch.tensor([1, 3, 0, 2])
return (x[:, i], x[:, :, j], x[:, i, j], torch.index_select(x, 2, j), torch.gather(x, 2, x.long().abs()))
""")
code("index_writes", """
i = torch.tensor([2, 0])
y = x.clone()
y[:, i] = 7.0
z = x.clone()
z[x > 0] = 0.0
w = torch.index_put(x, [torch.tensor([0, 1]), i], torch.ones([2, 4]))
return (y, z, w, torch.scatter(x, 2, x.long().abs(), x * 2), torch.scatter_add(x, 2, x.long().abs(), x), torch.scatter(x, 1, x[:, :1].long().abs(), 3.0),
  torch.scatter(x, 1, torch.zeros([2, 1, 4], dtype=torch.long), x[:, :1], reduce="multiply"))
""", free=False)
code("ordered", """
v, i = torch.topk(x, 2, 1)
w, j = torch.topk(x, 3, -1, False)
s, k = torch.sort(x, 1)
t, l = torch.sort(x, 2, True)
return (v, i, w, j, s, k, t, l, torch.argsort(x, 1), x.argsort(2, True), F.one_hot(x.long().abs(), 4))
""")

# Many to one.
code("reduces", """
return (x.sum().view(1), x.sum(1), x.sum([1, 2], True), x.mean().view(1), x.mean(1), x.mean([1, 2]), x.mean(-1, True), torch.prod(x, 1), torch.prod(x).view(1), x.amax([1]), x.amin([1, 2], True), x.max().view(1), x.min().view(1),
  x.argmax().view(1), x.argmax(1), x.argmin(2, True), (x > 0).any().view(1), (x > 0).all(1), (x > 1).any(1), torch.std(x).view(1), x.std(1), x.var(1, False), torch.var(x, [1, 2], True, True), torch.var(x, False).view(1),
  torch.cumsum(x, 2), torch.count_nonzero(x > 0, [1]), x.sum(1, dtype=torch.float64), torch.mean(x, [1], dtype=torch.float64), torch.frobenius_norm(x, [1, 2]))
""", free=False)
code("reduces_free", """
v, i = torch.max(x, 1)
w, j = x.min(2, True)
a, b = torch.var_mean(x, [1], True, False)
c, d = torch.std_mean(x, [1], False, True)
return (x.mean(1), x.sum(-1), v, i, w, j, a, b, c, d, x.std(1), x.argmax(1))
""")
code("losses", """
return (F.mse_loss(x, x * 2).view(1), F.mse_loss(x, x * 2, reduction="sum").view(1), F.l1_loss(x, x * 2, reduction="none"), F.l1_loss(x, x * 2).view(1))
""", free=False)

# Tensors of numbers.
code("creates", """
b = x.size(0)
return (torch.zeros([b, 2]) + 1, torch.ones([2, 3]), torch.full([b, 2], 3.5), torch.zeros_like(x), torch.ones_like(x), torch.full_like(x, 2), x.new_zeros([2]), x.new_ones([b, 1]), x.new_full([2], 7.0),
  torch.arange(5), torch.arange(1, 6), torch.arange(1, 2, 0.25), torch.arange(x.size(1)), torch.arange(b), torch.arange(b * 2, dtype=torch.float32), torch.arange(1, b * 2 + 1, 2), torch.linspace(0, 1, 5), torch.linspace(0, 1, x.size(2)), torch.eye(3), torch.eye(2, 3),
  torch.tensor([[1, 2], [3, 4]]), torch.tensor(2.5) + x, torch.tensor([1.5, 2.0]), torch.as_tensor(3) * x, torch.empty([2]) * 0, torch.empty_like(x) * 0, x.new_empty([1]) * 0)
""", free=False)
code("creates_free", """
b = x.size(0)
return (x + torch.zeros([b, 3, 4]), torch.arange(b).view(b, 1) + torch.arange(3), torch.full([b, 2], 1.5), torch.ones([b, 1], dtype=torch.long), torch.zeros([b]).fill_(2))
""", single="it counts the batch")

# Recurrent layers.
for cls in (nn.LSTM, nn.GRU, nn.RNN):
    name = cls.__name__.lower()

    class Layer(nn.Module):
        def __init__(self, **more):
            super().__init__()
            self.inner = cls(3, 4, **more)

        def forward(self, x):
            y, h = self.inner(x)
            return y

    class WithState(nn.Module):
        def __init__(self, **more):
            super().__init__()
            self.inner = cls(3, 4, **more)

        def forward(self, x):
            y, h = self.inner(x)
            return y, h

    layer(name, lambda: Layer(batch_first=True), (2, 5, 3))
    layer(name + "_traced", lambda: Layer(batch_first=True), (2, 5, 3), traced=True)
    layer(name + "_deep", lambda: Layer(batch_first=True, num_layers=2, bidirectional=True, dropout=0.3), (2, 5, 3))
    layer(name + "_states", lambda: WithState(num_layers=2, bidirectional=True), (5, 2, 3), shapes={"x": [5, -1, 3]}, single="steps come first")
    layer(name + "_no_bias", lambda: Layer(batch_first=True, bias=False), (2, 5, 3))


layer("rnn_relu", lambda: One(nn.Sequential(nn.RNN(3, 4, nonlinearity="relu", batch_first=True))), (2, 5, 3), shapes={"x": [-1, -1, 3]}, single="its second output has the batch second")


class Given(nn.Module):
    def __init__(self, cls):
        super().__init__()
        self.inner = cls(3, 4, batch_first=True)

    def forward(self, x, h):
        y, h = self.inner(x, h)
        return y, h


class GivenPair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x, h, c):
        y, (h2, c2) = self.inner(x, (h, c))
        return y, h2, c2


seed("gru_given")
write("gru_given", Given(nn.GRU), {"x": torch.randn(2, 5, 3), "h": torch.randn(1, 2, 4)}, shapes={"x": [-1, -1, 3], "h": [1, -1, 4]})
seed("lstm_given")
write("lstm_given", GivenPair(), {"x": torch.randn(2, 5, 3), "h": torch.randn(1, 2, 4), "c": torch.randn(1, 2, 4)}, shapes={"x": [-1, -1, 3], "h": [1, -1, 4], "c": [1, -1, 4]})


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.LSTMCell(3, 4)
        self.b = nn.GRUCell(3, 4)
        self.c = nn.RNNCell(3, 4)
        self.d = nn.RNNCell(3, 4, nonlinearity="relu")

    def forward(self, x):
        h = torch.ones(x.size(0), 4)
        a, s = self.a(x, (h, h))
        for i in range(2):
            a, s = self.a(x, (a, s))
        return a, s, self.b(x, h), self.c(x), self.d(x, h)


layer("cells", Cells, (2, 3))
layer("cells_traced", Cells, (2, 3), traced=True)

# Attention.


class Heads(nn.Module):
    def __init__(self, first=True):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=first)

    def forward(self, x):
        y, w = self.inner(x, x, x)
        return y, w


class Cross(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True)

    def forward(self, x, y):
        return self.inner(x, y[:, :, :6], y[:, :, 1:])[0]


layer("multihead", Heads, (2, 5, 8), shapes={"x": [-1, -1, 8]})
layer("multihead_traced", Heads, (2, 5, 8), traced=True, shapes={"x": [-1, -1, 8]})
layer("multihead_steps_first", lambda: Heads(False), (5, 2, 8), shapes={"x": [5, -1, 8]}, single="steps come first")
seed("multihead_cross_traced")
write("multihead_cross_traced", Cross(), {"x": torch.randn(2, 5, 8), "y": torch.randn(2, 7, 6)}, traced=True, shapes={"x": [-1, -1, 8], "y": [-1, -1, 6]})
both("encoder", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8), shapes={"x": [-1, -1, 8]})
both("encoder_first", lambda: nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", norm_first=True, batch_first=True), (2, 5, 8), shapes={"x": [-1, -1, 8]})
layer("encoder_stack", lambda: One(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)), (2, 5, 8), shapes={"x": [-1, -1, 8]})


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        n = x.size(1)
        mask = torch.triu(torch.ones(n, n), 1) > 0
        return self.inner(x, mask)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x, memory):
        return self.inner(x, memory)


layer("encoder_masked", Masked, (2, 5, 8), shapes={"x": [-1, -1, 8]})
layer("encoder_masked_traced", Masked, (2, 5, 8), traced=True, shapes={"x": [-1, 5, 8]})
seed("decoder")
write("decoder", Decoder(), {"x": torch.randn(2, 5, 8), "memory": torch.randn(2, 7, 8)}, shapes={"x": [-1, -1, 8], "memory": [-1, -1, 8]})
code("dot_product_attention", """
m = torch.tril(torch.ones([3, 3])) > 0
a, b = torch.nn.functional._scaled_dot_product_attention(x, x * 2, x + 1, None, 0.0, True, False)
c, d = torch.nn.functional._scaled_dot_product_attention(x, x * 2, x + 1, m, 0.0, True, False)
return (a, b, c, d)
""")

# The language.


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


class Language(nn.Module):
    sizes: List[int]

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.named = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.ReLU()})
        self.sizes = [1, 2, 3]
        self.scale = 0.5
        self.flag = True
        self.kind = "plain"
        self.register_buffer("table", torch.randn(3, 4))
        self.maybe: Optional[torch.Tensor] = None

    def helper(self, x: torch.Tensor, n: int = 2) -> Tuple[torch.Tensor, int]:
        return x * n, n + 1

    def forward(self, x: torch.Tensor, y: Optional[torch.Tensor] = None) -> Dict[str, torch.Tensor]:
        out: Dict[str, torch.Tensor] = {}
        parts: List[torch.Tensor] = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i % 2 == 0:
                x = torch.relu(x)
            parts.append(x)
        for name, block in self.named.items():
            x = block(x)
        if y is not None:
            x = x + y
        if self.maybe is not None:
            x = x * 0
        total = 0
        n = 0
        while n < len(self.sizes):
            total += self.sizes[n]
            n += 1
            if total > 3:
                break
        if self.kind == "plain" and self.flag and x.dim() == 2 and not x.is_cuda:
            x = x + total
        elif x.size(1) != 4:
            raise RuntimeError("expected 4 but got {}".format(x.size(1)))
        assert x.size(-1) == 4, "it must have 4"
        z, k = self.helper(x)
        p = Pair(z, z + k)
        w = torch.cat([q * (j + 1) for j, q in enumerate(parts)], 1)
        out["sum"] = x + self.table[n - 1] * self.scale
        out["wide"] = w
        out["first"] = p.first
        out["second"] = p.second
        d = {"a": 1, "b": 2}
        if "a" in d:
            out["third"] = p[1] * d["a"] + float(d["b"]) / 4 + max(2, 3) - min(2.5, 3.0) + abs(-2) + len(d)
        return out


layer("language", Language, (2, 4))


class Outputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> Pair:
        return Pair(self.a(x), self.a(x) * 2)


layer("outputs_named", Outputs, (2, 3))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.b = nn.Conv2d(2, 2, 3)

    def forward(self, x, y):
        return self.a(x).unsqueeze(2).unsqueeze(3) * self.b(y), torch.sigmoid(x)


seed("inputs_two")
write("inputs_two", Two(), {"x": torch.randn(2, 3), "y": torch.randn(2, 2, 5, 6)})
seed("inputs_two_traced")
write("inputs_two_traced", Two(), {"x": torch.randn(2, 3), "y": torch.randn(2, 2, 5, 6)}, traced=True)


class Pairwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)

    def forward(self, x: Tuple[torch.Tensor, torch.Tensor]):
        return self.a(x[0]) - self.a(x[1])


seed("inputs_tuple")
pair = (torch.randn(2, 3), torch.randn(2, 3))
write("inputs_tuple", Pairwise(), {"x": pair}, names={"x_0": pair[0], "x_1": pair[1]})


class Baked(nn.Module):
    """Code that a trace makes for one batch only."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 3, 3)
        self.b = nn.Linear(3 * 4 * 4, 2)

    def forward(self, x):
        y = self.a(x)
        return self.b(y.view(1, -1))


layer("baked_traced", Baked, (1, 2, 6, 6), traced=True, shapes={"x": [-1, 2, 6, 6]})


class Flat(nn.Module):
    """The size of the picture follows from a linear layer."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 3, 3)
        self.b = nn.Linear(3 * 10 * 10, 2)

    def forward(self, x):
        return self.b(torch.flatten(F.max_pool2d(F.relu(self.a(x)), 3), 1))


layer("flat", Flat, (2, 2, 32, 32))
layer("flat_traced", Flat, (2, 2, 32, 32), traced=True)


class Broadcast(nn.Module):
    def forward(self, x):
        y, z = torch.broadcast_tensors(x[:, :1], x)
        return y, z * 2


layer("broadcast_traced", Broadcast, (2, 3, 4), traced=True, shapes={"x": [-1, 3, 4]})


# Rarer operators, and those that only older or newer code has.
code("rare_math", """
y = torch.abs(x) + 0.5
z = torch.round(x)
return (torch.hypot(x, y), torch.logaddexp(x, y), torch.xlogy(z, y), torch.heaviside(z, y), torch.copysign(y, x), torch.sinc(x), torch.isclose(x, y), torch.isclose(x, x * 1.000001),
  torch.rsub(x, 2), torch._softmax(x, 1, False), torch._log_softmax(x, 2, False), torch.greater(x, y), torch.less_equal(x, y), torch.not_equal(z, x), torch.arctan(x))
""")
code("rare_order", """
v, i = torch.median(x, 1)
w, j = torch.kthvalue(x, 2, 2, True)
a, b = torch.aminmax(x, dim=1)
return (v, i, w, j, a, b, torch.median(x).view(1), torch.trace(x[0, :, :3]).view(1), torch.fliplr(x), torch.flipud(x), torch.rot90(x, 1, [1, 2]), torch.rot90(x, 2, [1, 2]), torch.rot90(x, 3, [0, 1]), torch.rot90(x, -1, [1, 2]),
  torch.diff(x), torch.diff(x, 2, 1), torch._shape_as_tensor(x))
""", free=False)
code("rare_products", """
a = x.transpose(1, 2)
return (torch.addbmm(torch.ones(3, 3), x, a, beta=0.5, alpha=2.0), torch.chain_matmul(x[0], a[0], x[1]), torch.linalg.multi_dot([x[0], a[0], x[1]]), torch.cdist(x, x + 1), torch.cdist(x, x + 1, 1.0))
""", free=False)
code("rare_index", """
i = torch.tensor([2, 0])
return (torch.index_add(x, 1, i, x[:, :2]), torch.index_copy(x, 1, i, x[:, :2] * 2), torch.index_fill(x, 2, i, 5.0), torch.index_put(x, [torch.tensor([0, 0]), torch.tensor([1, 1])], torch.ones([2, 4]), True))
""", free=False)
code("rare_windows", """
return (F.unfold(x, [2, 3]), F.unfold(x, [3, 2], dilation=2, padding=1, stride=2))
""", shape=(2, 3, 6, 5))
code("rare_grids", """
t = x[:, 0, :2, :3]
return (F.affine_grid(t, [x.size(0), 3, 4, 5], align_corners=False), F.affine_grid(t, [x.size(0), 3, 4, 5], align_corners=True), F.grid_sample(x, F.affine_grid(t, x.size(), align_corners=False), align_corners=False))
""", shape=(2, 3, 4, 5))
code("rare_pads", """
return (torch.constant_pad_nd(x, [1, 2], 3.0), torch._C._nn.reflection_pad2d(x, [1, 2, 1, 0]), torch._C._nn.reflection_pad1d(x[:, 0], [1, 2]), torch._C._nn.reflection_pad3d(x.unsqueeze(1), [1, 1, 1, 1, 1, 1]),
  torch._C._nn.replication_pad2d(x, [1, 2, 1, 0]), torch._C._nn.replication_pad1d(x[:, 0], [1, 2]), torch._C._nn.replication_pad3d(x.unsqueeze(1), [1, 1, 1, 1, 1, 1]))
""", shape=(2, 3, 4, 5))
