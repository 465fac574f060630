#!/usr/bin/env python3
"""A thread for each camera, as one that loops over `VideoCapture.read()`, and a queue of one frame between it and the
inference loop.

A read gives an array of its own; the conversion to RGB is the inference loop's, as with `CAP_PROP_CONVERT_RGB` off: fewer
frames are converted so.
"""
import queue
import threading
import time

import numpy

from peer import HEIGHT, INTERVAL_NS, WIDTH, Peer


def camera(peer, picture, first_ns, frames):
    due_ns = first_ns
    while not peer.stopped:
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        frame = picture.copy()
        try:
            frames.get_nowait()
        except queue.Empty:
            pass
        # Nobody else puts.
        frames.put((due_ns, frame))
        # A driver without a free buffer loses what was due meanwhile.
        late = max(0, time.monotonic_ns() - due_ns) // INTERVAL_NS
        due_ns += (late + 1) * INTERVAL_NS


def main():
    peer = Peer()
    picture = numpy.fromfile(peer.frame_file, numpy.uint8).reshape(HEIGHT * 3 // 2, WIDTH)
    queues = [queue.Queue(maxsize=1) for _ in peer.phases_ns]
    now_ns = time.monotonic_ns() + INTERVAL_NS
    threads = [threading.Thread(target=camera, args=(peer, picture, now_ns + phase_ns, frames))
               for phase_ns, frames in zip(peer.phases_ns, queues)]
    for thread in threads:
        thread.start()
    while not peer.stopped:
        for number in peer.longest_unserved():
            try:
                capture_ns, frame = queues[number].get_nowait()
            except queue.Empty:
                continue
            peer.serve(number, capture_ns, frame)
            break
        else:
            time.sleep(0.0005)
    peer.write()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
