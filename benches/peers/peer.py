"""What the peers in Python share: the frame, the model, the choice of a camera, the log.

Every peer is started as `PEER.py --frame FILE --anchors FILE --model FILE --phases MS,MS,... --log FILE`, says `ready` on
standard error when every camera has delivered, and writes its log when it gets SIGTERM: a line for each result, with the
camera, the capture and the result (CLOCK_MONOTONIC), the model's own time and CPU time, and the number of detections.
"""
import argparse
import signal
import sys
import time

import cv2
import numpy
from ai_edge_litert.interpreter import Interpreter

WIDTH, HEIGHT = 1920, 1080
INTERVAL_NS = 33_333_333
SCORE, IOU = 0.4, 0.5


class Peer:
    def __init__(self):
        arguments = argparse.ArgumentParser()
        for name in ("frame", "anchors", "model", "phases", "log"):
            arguments.add_argument(f"--{name}", required=True)
        arguments = arguments.parse_args()
        self.frame_file = arguments.frame
        self.phases_ns = [round(float(phase) * 1e6) for phase in arguments.phases.split(",")]
        self.log_file, self.lines = arguments.log, []
        self.served_ns = [0] * len(self.phases_ns)
        self.seen = set()
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)
        # As many threads as the others have for it.
        cv2.setNumThreads(1)
        self.model = Model(arguments.model, arguments.anchors)

    def stop(self, *_):
        self.stopped = True

    def longest_unserved(self):
        """The cameras, the one first that was served the longest time ago."""
        return sorted(range(len(self.served_ns)), key=self.served_ns.__getitem__)

    def serve(self, camera, capture_ns, nv12):
        detections, *invoke_ns = self.model.run(nv12)
        result_ns = time.monotonic_ns()
        self.served_ns[camera] = result_ns
        self.lines.append((camera, capture_ns, result_ns, *invoke_ns, detections))
        if len(self.seen) < len(self.phases_ns):
            self.seen.add(camera)
            if len(self.seen) == len(self.phases_ns):
                print("ready", file=sys.stderr, flush=True)

    def write(self):
        with open(self.log_file, "w", encoding="ascii") as out:
            out.writelines(",".join(map(str, line)) + "\n" for line in self.lines)


class Model:
    def __init__(self, path, anchors):
        self.interpreter = Interpreter(path, num_threads=1)
        self.interpreter.allocate_tensors()
        [tensor] = self.interpreter.get_input_details()
        self.side = tensor["shape"][1]
        # Views of the model's own tensors: nothing is copied.
        self.input = self.interpreter.tensor(tensor["index"])
        boxes, scores = self.interpreter.get_output_details()
        self.boxes, self.scores = (self.interpreter.tensor(output["index"]) for output in (boxes, scores))
        self.anchors = numpy.fromfile(anchors, numpy.float32).reshape(-1, 4)
        self.rgb = numpy.empty((HEIGHT, WIDTH, 3), numpy.uint8)
        self.small = numpy.empty((self.side, self.side, 3), numpy.uint8)
        self.floor = float(numpy.log(SCORE / (1 - SCORE)))

    def run(self, nv12):
        """The number of detections, and the invoke's nanoseconds, of the clock and of the CPU."""
        cv2.cvtColor(nv12, cv2.COLOR_YUV2RGB_NV12, self.rgb)
        cv2.resize(self.rgb, (self.side, self.side), self.small, interpolation=cv2.INTER_LINEAR)
        tensor = self.input()[0]
        numpy.multiply(self.small, numpy.float32(1 / 127.5), out=tensor)
        tensor -= 1
        del tensor
        start = time.monotonic_ns(), time.thread_time_ns()
        self.interpreter.invoke()
        invoke_ns, invoke_cpu_ns = time.monotonic_ns() - start[0], time.thread_time_ns() - start[1]
        return self.decode(), invoke_ns, invoke_cpu_ns

    def decode(self):
        # Without the background.
        logits = self.scores()[0, :, 1:]
        rows, classes = numpy.nonzero(logits >= self.floor)
        if len(rows) == 0:
            return 0
        scores = 1 / (1 + numpy.exp(-logits[rows, classes]))
        y, x, height, width = self.anchors[rows].T
        off = self.boxes()[0, rows]
        wide, high = numpy.exp(off[:, 3] / 5) * width, numpy.exp(off[:, 2] / 5) * height
        left, top = off[:, 1] / 10 * width + x - wide / 2, off[:, 0] / 10 * height + y - high / 2
        boxes = numpy.stack([left * WIDTH, top * HEIGHT, wide * WIDTH, high * HEIGHT], 1)
        kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), classes.tolist(), SCORE, IOU)
        return len(kept)
