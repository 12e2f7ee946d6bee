"""Saves one architecture as TorchScript, scripted and traced, with random weights
and with what PyTorch computes for batches of 1 and 3.

    /usr/bin/python3 test/zoo/save_torch.py NAME OUTDIR

makes OUTDIR/NAME.scripted and OUTDIR/NAME.traced, each with model.pt, in1.npz,
out1.npz, in3.npz and out3.npz. Written for Debian 12's python3-torch and
python3-torchvision (PyTorch 1.13.1, torchvision 0.14.1). The last line that it
prints names the versions. Statistics of batch norms are set at random, for
those of fresh networks are noughts and ones. A trace is of a batch of 2.
"""

import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torchvision import models


class Text(nn.Module):
    """An LSTM or a GRU over words, and a classifier of the last step."""

    def __init__(self, cell, **more):
        super().__init__()
        self.embedding = nn.Embedding(500, 64)
        self.rnn = cell(64, 96, num_layers=2, batch_first=True, dropout=0.2, **more)
        self.head = nn.Linear(96 * (2 if self.rnn.bidirectional else 1), 5)

    def forward(self, tokens):
        y, _ = self.rnn(self.embedding(tokens))
        return torch.log_softmax(self.head(y[:, -1]), dim=1)


class Double(nn.Sequential):
    def __init__(self, a, b):
        super().__init__(
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True), nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
        )


class UNet(nn.Module):
    """A U-Net of four floors, one half with transposed convolutions and one with
    bilinear upsampling and a padding to the size of what it joins."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = Double(3, 16), Double(16, 32), Double(32, 64), Double(64, 128)
        self.up3 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.up2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.e, self.f, self.g = Double(128, 64), Double(96, 32), Double(32, 16)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        d = self.d(F.max_pool2d(c, 2))
        y = self.e(torch.cat([c, self.up3(d)], dim=1))
        y = self.up2(y)
        h, w = b.size(2) - y.size(2), b.size(3) - y.size(3)
        y = F.pad(y, [w // 2, w - w // 2, h // 2, h - h // 2])
        y = self.f(torch.cat([b, y], dim=1))
        y = self.g(torch.cat([a, self.up1(y)], dim=1))
        return torch.sigmoid(self.head(y))


class Encoder(nn.Module):
    """A small transformer encoder over words, with learned places."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(500, 64)
        self.places = nn.Parameter(torch.randn(1, 128, 64) * 0.1)
        layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(64))
        self.head = nn.Linear(64, 5)

    def forward(self, tokens):
        x = self.embedding(tokens) * 8.0 + self.places[:, : tokens.size(1)]
        return self.head(self.layers(x).mean(dim=1))


def picture(size=224):
    return lambda n: {"x": torch.rand(n, 3, size, size)}


def words(n):
    return {"tokens": torch.randint(0, 500, (n, 20))}


ARCHITECTURES = {
    "resnet50": (lambda: models.resnet50(weights=None), picture()),
    "mobilenetv2": (lambda: models.mobilenet_v2(weights=None), picture()),
    "densenet121": (lambda: models.densenet121(weights=None), picture()),
    "efficientnetb0": (lambda: models.efficientnet_b0(weights=None), picture()),
    "lstm": (lambda: Text(nn.LSTM), words),
    "bigru": (lambda: Text(nn.GRU, bidirectional=True), words),
    "unet": (UNet, picture(96)),
    "transformer": (Encoder, words),
    # Beyond what all frameworks build.
    "vit": (lambda: models.vit_b_16(weights=None), picture()),
    "swin": (lambda: models.swin_t(weights=None), picture()),
    "convnext": (lambda: models.convnext_tiny(weights=None), picture()),
    "vgg16": (lambda: models.vgg16_bn(weights=None), picture()),
    "googlenet": (lambda: models.googlenet(weights=None, init_weights=False), picture()),
    "inceptionv3": (lambda: models.inception_v3(weights=None, init_weights=False), picture(299)),
    "shufflenetv2": (lambda: models.shufflenet_v2_x1_0(weights=None), picture()),
    "mnasnet": (lambda: models.mnasnet1_0(weights=None), picture()),
    "mobilenetv3": (lambda: models.mobilenet_v3_small(weights=None), picture()),
    "regnet": (lambda: models.regnet_y_400mf(weights=None), picture()),
    "squeezenet": (lambda: models.squeezenet1_1(weights=None), picture()),
    "alexnet": (lambda: models.alexnet(weights=None), picture()),
    "resnext50": (lambda: models.resnext50_32x4d(weights=None), picture()),
    "maxvit": (lambda: models.maxvit_t(weights=None), picture()),
    "swinv2": (lambda: models.swin_v2_t(weights=None), picture(256)),
    "fcn": (lambda: models.segmentation.fcn_resnet50(weights=None, weights_backbone=None), picture(96)),
    "deeplabv3": (lambda: models.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None), picture(96)),
    "lraspp": (lambda: models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None), picture(96)),
    "r3d": (lambda: models.video.r3d_18(weights=None), lambda n: {"x": torch.rand(n, 3, 8, 64, 64)}),
}


def flat(v):
    """Gives the tensors of a result by the names that the importer has for them."""
    if isinstance(v, torch.Tensor):
        return {"output": v}
    if isinstance(v, dict):
        return dict(v)
    return {"output" if i == 0 else f"output_{i}": t for i, t in enumerate(v)}


def prepare(net):
    for m in net.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            m.running_mean.uniform_(-0.2, 0.2)
            m.running_var.uniform_(0.5, 1.5)
        if isinstance(m, nn.Linear) and not m.weight.any():
            nn.init.normal_(m.weight, std=0.02)  # some begin with a head of noughts
    return net.eval()


def main():
    name, out, *more = sys.argv[1:]
    build, inputs = ARCHITECTURES[name]
    torch.manual_seed(1)
    net = prepare(build())
    forward = getattr(net, "forward").__code__.co_varnames[1]
    one, three = inputs(1), inputs(3)
    for form in ("scripted", "traced"):
        folder = os.path.join(out, f"{name}.{form}")
        os.makedirs(folder, exist_ok=True)
        with torch.no_grad():
            if form == "scripted":
                made = torch.jit.script(net)
            else:
                made = torch.jit.trace(net, tuple(inputs(2).values()), strict=False, check_trace=False)
            made.save(os.path.join(folder, "model.pt"))
            for n, given in ((1, one), (3, three)):
                named = {forward if len(given) == 1 else k: v.numpy() for k, v in given.items()}
                np.savez(os.path.join(folder, f"in{n}.npz"), **named)
                result = {k: v.numpy() for k, v in flat(net(*given.values())).items()}
                np.savez(os.path.join(folder, f"out{n}.npz"), **result)
    if "--onnx" in more:  # the framework's own way to ONNX, to race against
        with torch.no_grad():
            # As free as the import: an export of one size is planned for that size.
            free = {k: {0: "batch", **({2: "height", 3: "width"} if v.dim() == 4 else {1: "length"})} for k, v in one.items()}
            torch.onnx.export(net, tuple(one.values()), os.path.join(out, name + ".onnx"), opset_version=17,
                              input_names=list(one), output_names=["output"], dynamic_axes={**free, "output": {0: "batch"}})
    print(f"PyTorch {torch.__version__.split('a')[0]}, torchvision {torchvision.__version__.split('a')[0]}")


main()
