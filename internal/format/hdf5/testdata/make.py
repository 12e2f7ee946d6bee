# Writes the files beside it with h5py 3.16: python3 make.py. Each dataset's
# elements count up from 0 in C order, so that the test needs no second file.
import h5py, numpy as np, os

here = os.path.dirname(os.path.abspath(__file__))


def count(shape, dtype):
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


def fill(f):
    f.attrs["text"] = "grüße"
    f.attrs["fixed"] = np.bytes_(b"fixed")
    f.attrs["list"] = ["a", "bc", ""]
    f.attrs["fixed_list"] = np.array([b"ab", b"cdef"])
    f.attrs["empty"] = np.array([], dtype="float64")
    f.attrs["null"] = h5py.Empty("f4")
    f.attrs["number"] = 3
    f.attrs["flag"] = True
    for i in range(3):
        f.attrs["names%d" % i] = np.array([b"n%d" % i, b"m%d" % i])
    g = f.create_group("types")
    for t in ["<f2", "<f4", "<f8", ">f4", ">i4", "<i1", "<u1", "<i2", "<u2", "<i8", "<u8"]:
        g["x" + t.replace("<", "l").replace(">", "b")] = count((2, 3), t)
    g["scalar"] = np.float32(7)
    g["text"] = "one"
    g["words"] = ["one", "three"]
    g = f.create_group("chunked/deep/deeper")
    a = count((5, 7, 3), "<f4")
    g.create_dataset("plain", data=a, chunks=(2, 3, 2))
    g.create_dataset("gzip", data=a, chunks=(2, 3, 2), compression="gzip")
    g.create_dataset("shuffle", data=a, chunks=(5, 4, 3), compression="gzip", shuffle=True)
    g.create_dataset("fletcher", data=a, chunks=(5, 7, 3), fletcher32=True, compression="gzip")
    g.create_dataset("lzf", data=a, chunks=(5, 7, 3), compression="lzf")
    g.create_dataset("one", data=a, chunks=(5, 7, 3), compression="gzip")
    g.create_dataset("growing", data=a, chunks=(2, 3, 2), maxshape=(None, 7, 3))
    f.create_dataset("filled", shape=(4,), dtype="<f4", fillvalue=2.5)
    f.create_dataset("none", shape=(0, 3), dtype="<f4")
    f["loop"] = h5py.SoftLink("/types")
    f["types/same"] = f["types/xlf4"]
    t = f.create_group("many", track_order=True)
    for i in range(40):
        t.create_dataset("d%02d" % i, data=np.float32(i))


for name, ver in [("earliest", ("earliest", "v108")), ("latest", ("latest", "latest")), ("v108", ("v108", "v108"))]:
    with h5py.File(os.path.join(here, name + ".h5"), "w", libver=ver) as f:
        fill(f)
        if name != "earliest":
            o = f.create_group("attributes")
            for i in range(30):
                o.attrs["a%02d" % i] = i
            w = f.create_group("wide")
            for i in range(300 if name == "latest" else 30):
                w.create_group("a rather long name of a member %03d" % i)
