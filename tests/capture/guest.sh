#!/bin/bash
# In the guest: the checks of tests/capture_guest.rs against each kind of camera that vivid can be.
#   guest.sh TEST-EXECUTABLE
set -euo pipefail
checks=$1

with_cameras() { # KIND COUNT [vivid option...]
    local kind=$1; shift
    cameras "$@"
    echo "== $kind"
    CAMERA_KIND=$kind "$checks" "inside::$kind" --ignored --nocapture --test-threads 1
}

with_cameras plain 2
with_cameras dma_contig 1 allocators=1
with_cameras multi_planar 1 multiplanar=2
# An HDMI input: what is no webcam to vivid can crop.
with_cameras cropped 1 input_types=3

# The same camera, for a user who may not open it.
echo "== denied"
CAMERA_KIND=denied setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$checks" inside::denied --ignored --nocapture --test-threads 1

# One camera with an output and a metadata node beside its capture node.
cameras 0
modprobe vivid n_devs=1 node_types=0x20101 num_inputs=1 input_types=0
for ((i = 0; i < 6000; i++)); do [ -c /dev/video2 ] && break; sleep 0.05; done
[ -c /dev/video2 ] || { echo "/dev/video2 did not appear" >&2; exit 1; }
echo "== not_capture"
CAMERA_KIND=not_capture "$checks" inside::not_capture --ignored --nocapture --test-threads 1
