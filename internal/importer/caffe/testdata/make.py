# Writes small.caffemodel.h5 beside it, as Caffe lays out its snapshots, with
# h5py: python3 make.py
import os
import h5py, numpy as np

here = os.path.dirname(os.path.abspath(__file__))
with h5py.File(os.path.join(here, "small.caffemodel.h5"), "w") as f:
    c = f.create_group("data/c")
    c["0"] = np.array([1, 2], "<f4").reshape(1, 2, 1, 1)
    c["1"] = np.array([3], "<f4")
    f["data/c/inner/0"] = np.array([4], "<f8").reshape(1, 1, 1, 1)
    f["data/c/inner/1"] = np.array([5], "<f8")
    f.create_group("data/relu")
    f.create_group("diff")
