#!/usr/bin/env python3
"""The peers beside `pinsight-bench preprocess`: the same pictures to the same tensors, on one thread.

usage: preprocess_peers.py --ours PINSIGHT-BENCH --rust PROGRAM --folder FOLDER [--passes N] [--rounds N]

OpenCV takes the steps of an ordinary pipeline: cvtColor to RGB, resize, then float32 or float16 with 1/255.
PROGRAM is what benches/preprocess-peers builds: `yuv` and `fast_image_resize`, without float16.

Ours and the peers take turns, round after round, so that a machine that is slower for some seconds is so for all of
them. Of each case the median of the rounds' P50 is told. FOLDER gets preprocess.json, ours, and
preprocess-opencv.json, the peers.
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
    arguments.add_argument("--ours", required=True)
    arguments.add_argument("--rust", required=True)
    arguments.add_argument("--folder", required=True)
    arguments.add_argument("--passes", type=int, default=41)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments = arguments.parse_args()
    # The last core, as ours.
    cores = os.sched_getaffinity(0)
    cv2.setNumThreads(1)
    ours, peers = os.path.join(arguments.folder, "preprocess.json"), []
    reports = []
    for number in range(1, arguments.rounds + 1):
        print(f"round {number} of {arguments.rounds}", flush=True)
        subprocess.run([arguments.ours, "preprocess", "--json", ours], check=True, stdout=subprocess.DEVNULL)
        with open(ours, encoding="utf-8") as file:
            reports.append(json.load(file))
        run = subprocess.run([arguments.rust, str(arguments.passes)], check=True, text=True, stdout=subprocess.PIPE)
        os.sched_setaffinity(0, {max(cores)})
        peers.append([json.loads(line) for line in run.stdout.splitlines()] + opencv(arguments.passes))
        os.sched_setaffinity(0, cores)
    report = reports[-1]
    report["rows"] = combined([report["rows"] for report in reports])
    rows = combined(peers)
    p50_ns = {case_of(row): row["p50_ns"] for row in report["rows"]}
    show(rows, p50_ns)
    with open(ours, "w", encoding="utf-8") as out:
        json.dump(report, out, indent=1)
    with open(os.path.join(arguments.folder, "preprocess-opencv.json"), "w", encoding="utf-8") as out:
        json.dump({"bench": "preprocess-peers", "version": cv2.__version__, "rows": rows}, out, indent=1)


def opencv(passes):
    rows = []
    for kind in ("float32", "float16", "uint8"):
        for mode in MODES:
            for form in CODES:
                for side in (300, 640):
                    p50_ns, least_ns = passes_of(form, side, mode, kind, passes)
                    rows.append({"design": "opencv", "format": form, "side_px": side, "tensor": kind,
                                 "resample": mode, "p50_ns": p50_ns, "least_ns": least_ns})
    return rows


def combined(rounds):
    """The rows of the last round, each with the median of what the rounds measured, and the least."""
    out = []
    for rows in zip(*rounds):
        row = dict(rows[-1])
        for key in ("p50_ns", "limit_ns"):
            if key in row:
                row[key] = statistics.median_low([row[key] for row in rows])
        row["least_ns"] = min(row["least_ns"] for row in rows)
        out.append(row)
    return out


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
