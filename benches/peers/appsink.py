#!/usr/bin/env python3
"""GStreamer in Python: a live `imagefreeze` for each camera into an `appsink` that keeps the newest frame."""
import time

import gi
import numpy

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

from peer import HEIGHT, WIDTH, Peer  # noqa: E402

PIPELINE = (f"filesrc location={{frame}} blocksize={WIDTH * HEIGHT * 3 // 2} ! "
            f"rawvideoparse format=nv12 width={WIDTH} height={HEIGHT} ! imagefreeze is-live=true ! "
            "video/x-raw,framerate=30/1 ! appsink name=sink sync=false drop=true max-buffers=1")


def start(frame, base_ns):
    """A camera whose frames are due a whole number of intervals after `base_ns`."""
    pipeline = Gst.parse_launch(PIPELINE.format(frame=frame))
    pipeline.use_clock(Gst.SystemClock.obtain())
    # Without a start time of its own, the base time stays as it is set: phases are its.
    pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
    pipeline.set_base_time(base_ns)
    pipeline.set_state(Gst.State.PLAYING)
    return pipeline


def main():
    peer = Peer()
    Gst.init(None)
    now_ns = time.monotonic_ns()
    bases_ns = [now_ns + phase_ns for phase_ns in peer.phases_ns]
    pipelines = [start(peer.frame_file, base_ns) for base_ns in bases_ns]
    sinks = [pipeline.get_by_name("sink") for pipeline in pipelines]
    # One camera is waited for; of several, one that has nothing is left soon.
    patience_ns = 5_000_000 if len(sinks) == 1 else 500_000
    while not peer.stopped:
        order = peer.longest_unserved()
        for camera in order:
            sample = sinks[camera].try_pull_sample(0)
            if sample is not None:
                break
        else:
            camera = order[0]
            sample = sinks[camera].try_pull_sample(patience_ns)
            if sample is None:
                continue
        buffer = sample.get_buffer()
        mapped, memory = buffer.map(Gst.MapFlags.READ)
        assert mapped
        nv12 = numpy.frombuffer(memory.data, numpy.uint8).reshape(HEIGHT * 3 // 2, WIDTH)
        peer.serve(camera, bases_ns[camera] + buffer.pts, nv12)
        buffer.unmap(memory)
    peer.write()
    for pipeline in pipelines:
        pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
