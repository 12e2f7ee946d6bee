#!/usr/bin/env bash
# Installs the frameworks that build the zoo, and runs it: TensorFlow with Keras
# into .zoo (1.6 GB), PyTorch from Debian (as root). What is there already is
# not fetched again. Arguments go to the program; see main.go.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=.zoo/tensorflow
if [ ! -x "$venv/bin/tf-ready" ]; then
  python=$(command -v python3.12 || command -v python3)
  "$python" -m venv "$venv"
  "$venv/bin/pip" install -q tensorflow-cpu==2.21.0 keras==3.15.1 tf2onnx==1.17.0
  ln -s python "$venv/bin/tf-ready" # only a finished install has it
fi

torch=
if /usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null; then
  torch=/usr/bin/python3
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update && apt-get install -y --no-install-recommends python3-torch python3-torchvision python3-numpy; } >/dev/null
  torch=/usr/bin/python3
else
  echo "PyTorch is left out: install Debian's python3-torch and python3-torchvision"
fi

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= PYTHONHASHSEED=0
go run ./test/zoo -keras "$venv/bin/python" -tensorflow "$venv/bin/python" ${torch:+-torch "$torch"} "$@"
