#!/usr/bin/env python3
"""Pinsight beside what people use instead: the same frames, model and cores, one after the other in one run.

usage: bench.py --pinsight PROGRAM --gstreamer-rs PROGRAM --counter LIBRARY --folder FOLDER [--seconds N] [--warm-up N]
                [--cameras 1,8,16] [--phases in-step,staggered,random] [--designs NAME,...] [--readme FILE]

Each design runs by itself on the first two cores that this process may use. When it says that it is ready, it warms up, and
is measured then. FOLDER gets peers.json and what the designs need and write. The section of the readme is written after a
whole run alone.
"""
import argparse
import glob
import json
import mmap
import os
import platform
import random
import re
import signal
import subprocess
import sys
import threading
import time

import figures

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
IMAGE = os.path.join(ROOT, ".cache/photos/astronaut.png")
MODEL = os.path.join(ROOT, ".cache/models/ssd_mobilenetv2_oidv4_fp16.tflite")
WIDTH, HEIGHT = 1920, 1080
INTERVAL_MS = 1000 / 30
DESIGNS = ("ours", "appsink", "threads", "gstreamer-rs")
PHASES = ("in-step", "staggered", "random")
SEED = 13
BEGIN = "<!-- peers: written by make bench-peers, not by hand -->\n"
END = "<!-- end of peers -->\n"
# What a whole run has: less is to try it.
WHOLE_S = 10
# A design that is not ready by then never is.
READY_S = 60

# Figure, heading, decimals, whether more is better.
COLUMNS = (
    ("results_hz", "results/s", 1, True),
    ("aoi_p50_ms", "AoI P50", 1, False),
    ("aoi_p99_ms", "AoI P99", 1, False),
    ("aoi_mean_ms", "AoI mean", 1, False),
    ("age_p50_ms", "age P50", 1, False),
    ("age_p99_ms", "age P99", 1, False),
    ("gap_ms", "longest gap", 0, False),
    ("cpu_ms", "CPU ms/result", 2, False),
    ("cpu_outside_ms", "of it outside the model", 2, False),
    ("invoke_p50_ms", "invoke P50", 2, False),
    ("peak_mib", "peak MiB", 0, False),
    ("pss_mib", "PSS MiB", 0, False),
    ("malloc_hz", "malloc/s", 0, False),
)

# As a user lays a board out on two cores: capture and what is slow on the first, inference on the second. No thread is
# real-time, as no peer's is. Two buffers stay with the driver: a synthetic one is never late.
BOARD = """name = "peers"
[memory]
budget-mib = 1024
malloc-arena-kib = 64
[[model]]
name = "things"
path = "{model}"
sha256 = "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6"
decoder = "ssd"
labels = [{labels}]
fit = "stretch"
resample = "bilinear"
input-range = [-1.0, 1.0]
scores = "logits"
score-threshold = 0.4
iou-threshold = 0.5
max-detections = 16
threads = 1
delegate = "xnnpack"
[[worker]]
name = "detector"
cores = [{inference}]
model = "things"
[housekeeping]
core = {capture}
record-results = 65536
"""
CAMERA = """[[camera]]
name = "c{number}"
source = "image"
path = "{image}"
scale = 4
pan-px = 0
phase-ms = {phase:.6f}
format = "NV12"
width-px = 1920
height-px = 1080
rate-hz = 30
driver-slots = 2
capture-core = {capture}
"""


def phases_of(kind, cameras):
    if kind == "in-step":
        return [0.0] * cameras
    if kind == "staggered":
        return [number * INTERVAL_MS / cameras for number in range(cameras)]
    chance = random.Random(SEED)
    return [chance.uniform(0, INTERVAL_MS - 0.001) for _ in range(cameras)]


class Bench:
    def __init__(self, arguments):
        self.arguments, self.folder = arguments, os.path.abspath(arguments.folder)
        os.makedirs(self.folder, exist_ok=True)
        self.cores = sorted(os.sched_getaffinity(0))[:2]
        if len(self.cores) < 2:
            sys.exit("bench-peers: found one core, expected two: one for cameras, one for the model")
        self.frame, self.anchors = self.in_folder("peers-frame.nv12"), self.in_folder("peers-anchors.f32")
        self.write_frame()
        self.write_anchors()

    def in_folder(self, name):
        return os.path.join(self.folder, name)

    def board(self, phases_ms):
        with open(os.path.join(ROOT, "boards/ssd.toml"), encoding="utf-8") as file:
            labels = re.search(r"^labels = \[(.*?)\]", file.read(), re.DOTALL | re.MULTILINE).group(1)
        capture, inference = self.cores
        text = BOARD.format(model=MODEL, labels=" ".join(labels.split()), capture=capture, inference=inference)
        for number, phase in enumerate(phases_ms):
            text += CAMERA.format(number=number, image=IMAGE, phase=phase, capture=capture)
        path = self.in_folder("peers-board.toml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def write_frame(self):
        """The frame that every camera of ours shows, to the byte: a clip has it with its chroma in two planes."""
        clip = self.in_folder("peers-frame.y4m")
        subprocess.run([self.arguments.pinsight, "snapshot", "--camera", "c0", "--frames", "1", self.board([0.0]), clip],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(clip, "rb") as file:
            header, _, samples = file.readline(), file.readline(), file.read()
        luma, chroma = WIDTH * HEIGHT, WIDTH * HEIGHT // 4
        if b"C420" not in header or len(samples) < luma + 2 * chroma:
            sys.exit(f"bench-peers: {clip}: found {header!r}, expected a frame of 4:2:0")
        both = bytearray(2 * chroma)
        both[0::2], both[1::2] = samples[luma:luma + chroma], samples[luma + chroma:luma + 2 * chroma]
        with open(self.frame, "wb") as out:
            out.write(samples[:luma] + both)
        os.remove(clip)

    def write_anchors(self):
        """The 1917 anchors of 300 x 300: centre y and x, height and width (TensorFlow Object Detection API,
        `create_ssd_anchors` with its defaults)."""
        import numpy
        scales = [0.2 + 0.75 * grid / 5 for grid in range(6)] + [1.0]
        rows = []
        for grid, cells in enumerate((19, 10, 5, 3, 2, 1)):
            own = scales[grid]
            kinds = [(own, ratio) for ratio in (1, 2, 0.5, 3, 0.3333)] + [((own * scales[grid + 1]) ** 0.5, 1)]
            kinds = kinds if grid else [(0.1, 1), (own, 2), (own, 0.5)]
            rows += [((row + 0.5) / cells, (column + 0.5) / cells, scale / ratio**0.5, scale * ratio**0.5)
                     for row in range(cells) for column in range(cells) for scale, ratio in kinds]
        numpy.array(rows, numpy.float32).tofile(self.anchors)

    def measure(self, design, kind, cameras):
        """One design with one row of cameras: its figures."""
        phases_ms = phases_of(kind, cameras)
        log, proof = self.in_folder("peers-log"), self.in_folder("peers-proof.json")
        for old in glob.glob(log + "*") + glob.glob(proof):
            os.remove(old)
        command, environment = self.command(design, phases_ms, log, proof)
        count_file = self.in_folder("peers-count")
        with open(count_file, "wb") as out:
            out.write(bytes(8))
        if design != "ours":
            environment.update(LD_PRELOAD=os.path.abspath(self.arguments.counter), PEERS_COUNT=count_file)
        process = subprocess.Popen(["taskset", "-c", ",".join(map(str, self.cores)), *command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **environment})
        said = []
        try:
            wait_ready(process, said)
            with open(count_file, "rb") as file, mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ) as count:
                calls = lambda: int.from_bytes(count[:8], sys.byteorder)  # noqa: E731
                time.sleep(self.arguments.warm_up)
                begin = time.monotonic_ns(), cpu_ns(process.pid), calls()
                time.sleep(self.arguments.seconds)
                end = time.monotonic_ns(), cpu_ns(process.pid), calls()
            memory = memory_of(process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        try:
            results = self.ours(log) if design == "ours" else read_log(log)
            row = figures.figures(results, begin[0], end[0], cameras)
        except (OSError, ValueError) as error:
            sys.exit(f"bench-peers: {design}: {error}\n{''.join(said[-20:])}")
        if row["detections"] < 1:
            sys.exit(f"bench-peers: {design}: {row['detections']:.2f} detections a frame, expected the person in each")
        seconds, cpu_ms = (end[0] - begin[0]) / 1e9, (end[1] - begin[1]) / 1e6
        row.update(memory, design=design, phases=kind, cameras=cameras, cpu_share=cpu_ms / seconds / 1e3)
        row["cpu_ms"] = cpu_ms / row["results"]
        row["cpu_outside_ms"] = (cpu_ms - row["invoke_cpu_ms"]) / row["results"]
        row["phase_error_ms"] = figures.phase_error_ms(results, phases_ms, INTERVAL_MS * 1e6)
        if design == "ours":
            with open(proof, encoding="utf-8") as file:
                proof = json.load(file)
            quiet, run_s = proof["after_ready"], proof["run_ms"] / 1e3
            row["malloc_hz"] = (quiet["heap_calls"] + quiet["heap_calls_other_threads"]) / run_s
            row["arena_served_hz"] = quiet["arena_served"] / run_s
            row["slots_mib"] = proof["memory"]["slot_bytes"] / 2**20
        else:
            row["malloc_hz"] = (end[2] - begin[2]) / seconds
        # Both clocks count intervals of 33.33 ms, one of them rounded to a nanosecond.
        if row["phase_error_ms"] > 1:
            sys.exit(f"bench-peers: {design}: frames are {row['phase_error_ms']:.1f} ms off their phases")
        return row

    def command(self, design, phases_ms, log, proof):
        if design == "ours":
            return [self.arguments.pinsight, "run", "--board", self.board(phases_ms), "--record", log, "--proof", proof], {}
        shared = ["--frame", self.frame, "--anchors", self.anchors, "--model", MODEL, "--log", log,
                  "--phases", ",".join(f"{phase:.6f}" for phase in phases_ms)]
        if design == "gstreamer-rs":
            return [self.arguments.gstreamer_rs, *shared], {}
        return [sys.executable, os.path.join(HERE, f"{design}.py"), *shared], {"PYTHONDONTWRITEBYTECODE": "1"}

    def ours(self, log):
        """Of the invokes' CPU time nothing is known: as the worker has its core for itself, it is their time."""
        run = subprocess.run([self.arguments.pinsight, "results", log, "--format", "jsonl"], check=True, text=True,
                             stdout=subprocess.PIPE)
        lines = map(json.loads, run.stdout.splitlines())
        return [(int(line["camera"][1:]), line["capture_ns"], line["capture_ns"] + line["age_us"] * 1000,
                 line["invoke_us"] * 1000, line["invoke_us"] * 1000, line["detections_total"]) for line in lines]


def wait_ready(process, said):
    """Reads what the process says until it is ready, and goes on reading in a thread. Ours says it as its log says all: behind
    the time and the level, or the level's number."""
    late = threading.Timer(READY_S, process.kill)
    late.start()
    for line in process.stderr:
        said.append(line)
        if re.search(r"(^|<\d>| info: )ready\b", line):
            late.cancel()
            threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()
            return
    late.cancel()
    sys.exit(f"bench-peers: {' '.join(process.args)}: it ended before it was ready:\n{''.join(said[-20:])}")


def read_log(path):
    with open(path, encoding="ascii") as file:
        return [tuple(map(int, line.split(","))) for line in file]


def cpu_ns(pid):
    """CPU time of all threads of a process: clock_getcpuclockid(3), to the nanosecond."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def memory_of(pid):
    """Peak and present memory. Hugepages are in no resident set: they are added."""
    def kib(name, key):
        with open(f"/proc/{pid}/{name}", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if re.match(rf"{key}:", line))
    huge = kib("status", "HugetlbPages")
    return {"peak_mib": (kib("status", "VmHWM") + huge) / 1024, "pss_mib": (kib("smaps_rollup", "Pss") + huge) / 1024,
            "hugetlb_mib": huge / 1024}


def best(rows, key, more):
    values = [row[key] for row in rows if row["design"] != "ours"]
    return (max if more else min)(values) if values else None


def table(rows):
    """The designs of one case, and ours beside them."""
    out = ["| design | " + " | ".join(heading for _, heading, _, _ in COLUMNS) + " |",
           "|---|" + "---:|" * len(COLUMNS)]
    for row in rows:
        out.append(f"| {row['design']} | " + " | ".join(f"{row[key]:.{places}f}" for key, _, places, _ in COLUMNS) + " |")
    ours = next((row for row in rows if row["design"] == "ours"), None)
    same = next((row for row in rows if row["design"] == "gstreamer-rs"), None)
    ratio = lambda mine, its: f"{mine / its:.2f}" if its else "-"  # noqa: E731
    if ours and best(rows, "gap_ms", False):
        out.append("| ours / best peer | "
                   + " | ".join(ratio(ours[key], best(rows, key, more)) for key, _, _, more in COLUMNS) + " |")
    if ours and same:
        out.append("| ours / gstreamer-rs | " + " | ".join(ratio(ours[key], same[key]) for key, *_ in COLUMNS) + " |")
    return out


def section(rows, conditions):
    out = [BEGIN, conditions, ""]
    for cameras, kind in dict.fromkeys((row["cameras"], row["phases"]) for row in rows):
        its = [row for row in rows if (row["cameras"], row["phases"]) == (cameras, kind)]
        out += [f"### {title(cameras, kind)}", "", *table(its), ""]
        ours = next((row for row in its if row["design"] == "ours"), None)
        if ours:
            out += [f"Of our {ours['peak_mib']:.0f} MiB, {ours['slots_mib']:.0f} are frame slots; the library's "
                    f"{ours['arena_served_hz']:.0f} calls of malloc a second were served from the fixed arena.", ""]
    return "\n".join(out) + "\n" + END


def title(cameras, kind):
    return "1 camera" if cameras == 1 else f"{cameras} cameras, {kind.replace('-', ' ')}"


def conditions():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    import ai_edge_litert
    import cv2
    from importlib.metadata import version
    import gi
    gi.require_version("Gst", "1.0")
    from gi.repository import Gst
    Gst.init(None)
    litert = version(ai_edge_litert.__name__.replace("_", "-"))
    return (f"{os.environ.get('BENCH_CONDITIONS', time.strftime('%F'))}; {model}, 2 cores; Linux {platform.release()}; Python "
            f"{platform.python_version()}, OpenCV {cv2.__version__}, LiteRT {litert}, "
            f"{Gst.version_string()}.")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("pinsight", "gstreamer-rs", "counter", "folder"):
        arguments.add_argument(f"--{name}", required=True)
    arguments.add_argument("--seconds", type=float, default=WHOLE_S)
    arguments.add_argument("--warm-up", type=float, default=3)
    arguments.add_argument("--cameras", default="1,8,16")
    arguments.add_argument("--phases", default=",".join(PHASES))
    arguments.add_argument("--designs", default=",".join(DESIGNS))
    arguments.add_argument("--readme")
    arguments = arguments.parse_args()
    figures.check()
    bench, rows = Bench(arguments), []
    for cameras in map(int, arguments.cameras.split(",")):
        # One camera has no phase to another.
        for kind in arguments.phases.split(",")[:1 if cameras == 1 else None]:
            its = []
            print(f"\n{title(cameras, kind)}", flush=True)
            for design in arguments.designs.split(","):
                its.append(bench.measure(design, kind, cameras))
                print(f"  {design}: {its[-1]['results_hz']:.1f} results a second", flush=True)
            print("\n".join(table(its)), flush=True)
            rows += its
    whole = (arguments.seconds >= WHOLE_S and {row["design"] for row in rows} == set(DESIGNS)
             and {(row["cameras"], row["phases"]) for row in rows} >= {(count, kind) for count in (8, 16) for kind in PHASES})
    found = conditions()
    with open(bench.in_folder("peers.json"), "w", encoding="utf-8") as out:
        json.dump({"bench": "peers", "conditions": found, "seconds": arguments.seconds, "rows": rows}, out, indent=1)
    if arguments.readme and not whole:
        print(f"\n{arguments.readme} stays as it is: this was no whole run")
    elif arguments.readme:
        with open(arguments.readme, encoding="utf-8") as file:
            before, rest = file.read().split(BEGIN)
            after = rest.split(END)[1]
        with open(arguments.readme, "w", encoding="utf-8") as out:
            out.write(before + section(rows, found) + after)


if __name__ == "__main__":
    main()
