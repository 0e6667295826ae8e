#!/usr/bin/env bash
# Builds the extension for 64-bit ARM with Debian's cross compiler and runs tests under qemu: those that the arguments
# (pytest's) name. What needs PyTorch is left out; what starts another Python can't work there. Needs Debian, root, and the
# package index; a root file system with Python for ARM is made under build/aarch64.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/aarch64
mkdir -p "$work/debs" "$work/root" "$work/site"

if [ ! -e "$work/ready" ]; then
  dpkg --add-architecture arm64
  apt-get update -qq
  apt-get install -y -qq gcc-aarch64-linux-gnu qemu-user-static python3-pip
  libraries="libc6 libgcc-s1 libstdc++6 libssl3 libexpat1 zlib1g libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libncursesw6
    libtinfo6 libreadline8 libcrypt1 libdb5.3"
  python="python3.11 python3.11-minimal libpython3.11 libpython3.11-minimal libpython3.11-stdlib libpython3.11-dev"
  # shellcheck disable=SC2086
  (cd "$work/debs" && apt-get download -q $(printf '%s:arm64 ' $libraries $python))
  for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/root"; done
  python3 -m pip -q download -d "$work/wheels" --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 'numpy>=2' setuptools pytest hypothesis tqdm
  for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/site"; done
  touch "$work/ready"
fi

root=$work/root
run() { PYTHONPATH=$work/site qemu-aarch64-static -L "$root" "$root/usr/bin/python3.11" "$@"; }

CC="aarch64-linux-gnu-gcc -I$root/usr/include/python3.11 -I$root/usr/include" LDSHARED="aarch64-linux-gnu-gcc -shared" \
  run setup.py -q build_ext --inplace
run -m pytest -q -p no:cacheprovider "$@"
