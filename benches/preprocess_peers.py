#!/usr/bin/env python3
"""The peers beside `pinsight bench preprocess`: the same pictures to the same tensors, on one thread.

usage: preprocess_peers.py [--passes N] [--rust PROGRAM] [--ours FILE.json] [--json FILE]

OpenCV takes the steps of an ordinary pipeline: cvtColor to RGB, resize, then float32 or float16 with 1/255.
PROGRAM is what benches/preprocess-peers builds: `yuv` and `fast_image_resize`, without float16. With the figures of
ours, the ratios.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import cv2
import numpy

WIDTH, HEIGHT = 1920, 1080
CODES = {"NV12": cv2.COLOR_YUV2RGB_NV12, "YUYV": cv2.COLOR_YUV2RGB_YUY2}
SHAPES = {"NV12": (HEIGHT * 3 // 2, WIDTH), "YUYV": (HEIGHT, WIDTH, 2)}
MODES = {"bilinear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST}


def passes_of(form, side, mode, kind, passes):
    """Median nanoseconds of a pass. Every destination exists before: nothing is allocated in it."""
    frame = numpy.random.default_rng(1).integers(0, 256, SHAPES[form], dtype=numpy.uint8)
    rgb = numpy.empty((HEIGHT, WIDTH, 3), numpy.uint8)
    small = numpy.empty((side, side, 3), numpy.uint8)
    depth, numbers = (cv2.CV_16F, numpy.float16) if kind == "float16" else (cv2.CV_32F, numpy.float32)
    tensor = numpy.empty((side, side, 3), numbers)

    def run():
        cv2.cvtColor(frame, CODES[form], rgb)
        cv2.resize(rgb, (side, side), small, interpolation=MODES[mode])
        if kind != "uint8":
            # The quickest way from Python to convertTo, behind a look at the least and greatest byte. The scale is that
            # of the picture's own range, which takes as long. (numpy.multiply takes three times as long.)
            cv2.normalize(small, tensor, 0, 1, cv2.NORM_MINMAX, depth)

    run()
    times = []
    for _ in range(passes):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return int(statistics.median(times)), min(times)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--passes", type=int, default=41)
    arguments.add_argument("--rust")
    arguments.add_argument("--ours")
    arguments.add_argument("--json")
    arguments = arguments.parse_args()
    # The last core, as ours.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    rows = []
    for kind in ("float32", "float16", "uint8"):
        for mode in MODES:
            for form in CODES:
                for side in (300, 640):
                    p50_ns, least_ns = passes_of(form, side, mode, kind, arguments.passes)
                    rows.append({"design": "opencv", "format": form, "side_px": side, "tensor": kind,
                                 "resample": mode, "p50_ns": p50_ns, "least_ns": least_ns})
    if arguments.rust:
        run = subprocess.run([arguments.rust, str(arguments.passes)], check=True, text=True, stdout=subprocess.PIPE)
        rows += [json.loads(line) for line in run.stdout.splitlines()]
    ours = {}
    if arguments.ours:
        with open(arguments.ours, encoding="utf-8") as file:
            ours = {case_of(row): row["p50_ns"] for row in json.load(file)["rows"]}
    for row in rows:
        row["ours_over_it"] = ours.get(case_of(row), 0) / row["p50_ns"] or None
    show(rows, ours)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as out:
            json.dump({"bench": "preprocess-peers", "version": cv2.__version__, "rows": rows}, out, indent=1)


def case_of(row):
    return tuple(row[key] for key in ("format", "side_px", "tensor", "resample"))


def show(rows, ours):
    designs = sorted({row["design"] for row in rows})
    times = {(row["design"], case_of(row)): row["p50_ns"] for row in rows}
    print("P50 us".ljust(36), "ours".rjust(7), *(f"{name:>22} {'ratio':>6}" for name in designs))
    for case in dict.fromkeys(case_of(row) for row in rows):
        form, side, kind, mode = case
        mine = ours.get(case)
        line = f"{form} to {side} x {side} {kind}, {mode}".ljust(36) + f"{mine / 1e3 if mine else 0:8.0f}"
        for name in designs:
            its = times.get((name, case))
            line += f"{its / 1e3:23.0f}" if its else "-".rjust(23)
            line += f"{mine / its:7.2f}" if mine and its else "-".rjust(7)
        print(line)


if __name__ == "__main__":
    main()
