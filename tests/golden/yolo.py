#!/usr/bin/env python3
"""YOLO heads decoded a second time, apart from the program.

    .cache/golden/bin/python tests/golden/yolo.py    writes tests/golden/yolo.json (set-up: reference.py)

No registry package has a pretrained YOLO for TFLite, so the heads are made by a rule, not by a network:
what is compared is decoding, suppression and the way back to the camera. The rule, in float64 but for the
last step (`head`), is repeated by the test and held against `head_sha256`:

noise    u(): s = (s * 1664525 + 1013904223) mod 2^32, gives (s >> 8) / 2^24; s starts at the case's seed.
         For each box in turn: x = u(), y = u(), w = 0.02 + 0.2 u(), h = 0.02 + 0.2 u(), then for v5
         objectness = 0.5 u(), then for each class 0.4 u().
objects  (row, count, class, score, x, y, w, h): for j of count, box row + 5 j has x + 0.01 (u() - 0.5), y,
         w, h likewise, objectness 0.95, and its class' score = score - 0.02 j.
unit     "pixel": x and w times the input's width, y and h times its height.
head     float32; or int8: floor(value / scale + 0.5) - 128, clipped.

Decoding as ultralytics' non_max_suppression with multi_label off: score = class score (times objectness
for v5), a box has its greatest; kept from score_min or its class' own threshold, in which case the
greatest score among the classes that reach theirs counts; greedy suppression within a class at
IoU > iou_max, strongest first. Letterbox: scaled sides rounded half up, bars halved, the odd pixel below.
"""

import datetime
import importlib.metadata

import numpy as np
import reference

CLASSES = 6
SCORE_MIN, IOU_MAX = 0.5, 0.45
CAMERA = (1920, 1080)
OBJECTS = [
    (40, 4, 0, 0.93, 0.30, 0.40, 0.20, 0.40),
    (200, 3, 2, 0.88, 0.32, 0.42, 0.20, 0.38),  # on top of the first, of another class
    (330, 5, 0, 0.81, 0.75, 0.55, 0.10, 0.25),
    (10, 1, 5, 0.47, 0.06, 0.30, 0.14, 0.20),   # over the left edge, at a lower threshold of its own
    (420, 2, 3, 0.66, 0.60, 0.70, 0.30, 0.20),  # below its class' own threshold
]
CLASS_THRESHOLDS = {3: 0.7, 5: 0.42}

# name, family, input width height, transposed, unit, int8 scale or None, seed
CASES = [
    ("v8-transposed", "v8", (320, 192), True, "input", None, 1),
    ("v8-boxes-first", "v8", (320, 320), False, "pixel", None, 2),
    ("v5", "v5", (320, 192), False, "input", None, 3),
    ("v5-pixels-transposed", "v5", (192, 192), True, "pixel", None, 4),
    ("v8-int8", "v8", (320, 192), True, "input", 1 / 200, 5),
]


def head(family, size, transposed, unit, scale, seed):
    """The raw output and the same as real values, one row for each box."""
    state = seed

    def u():
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return (state >> 8) / 2**24

    width, height = size
    cells = sum((width // s) * (height // s) for s in (8, 16, 32))
    rows = []
    for _ in range(cells * (3 if family == "v5" else 1)):
        row = [u(), u(), 0.02 + 0.2 * u(), 0.02 + 0.2 * u()]
        row += [0.5 * u()] if family == "v5" else []
        rows.append(row + [0.4 * u() for _ in range(CLASSES)])
    for first, count, label, score, *box in OBJECTS:
        for j in range(count):
            row = rows[first + 5 * j]
            for at in range(4):
                row[at] = box[at] + 0.01 * (u() - 0.5)
            if family == "v5":
                row[4] = 0.95
            row[len(row) - CLASSES + label] = score - 0.02 * j
    values = np.array(rows)
    if unit == "pixel":
        values[:, [0, 2]] *= width
        values[:, [1, 3]] *= height
    if scale is None:
        stored = values.astype(np.float32)
        real = stored.astype(np.float64)
    else:
        stored = np.clip(np.floor(values / scale + 0.5) - 128, -128, 127).astype(np.int8)
        real = (stored.astype(np.float64) + 128) * scale
    return (stored.T if transposed else stored), real


def detections(real, family, size, unit):
    width, height = size
    if unit == "input":
        real = real * np.array([width, height, width, height] + [1] * (real.shape[1] - 4))
    ratio = min(width / CAMERA[0], height / CAMERA[1])
    scaled = [int(np.floor(side * ratio + 0.5)) for side in CAMERA]
    bars = [(side - part) // 2 for side, part in zip(size, scaled)]
    to_camera = [side / part for side, part in zip(CAMERA, scaled)]
    centre = (real[:, :2] - bars) * to_camera
    extent = real[:, 2:4] * to_camera
    boxes = np.concatenate([centre - extent / 2, extent], axis=1)
    scores = real[:, 5:] * real[:, 4:5] if family == "v5" else real[:, 4:]
    least = np.array([CLASS_THRESHOLDS.get(label, SCORE_MIN) for label in range(CLASSES)])
    scores = np.where(scores >= least, scores, 0)
    best, label = scores.max(axis=1), scores.argmax(axis=1)
    found = []
    for index in np.argsort(-best, kind="stable"):
        if best[index] == 0:
            break
        box = [float(v) for v in boxes[index]]
        if all(reference.iou(box, kept["box"]) <= IOU_MAX for kept in found if kept["class"] == label[index]):
            found.append({"class": int(label[index]), "score": float(best[index]), "box": box})
    return found, int((best > 0).sum())


def main():
    results = []
    for name, family, size, transposed, unit, scale, seed in CASES:
        raw, real = head(family, size, transposed, unit, scale, seed)
        found, candidates = detections(real, family, size, unit)
        print(name, raw.shape, candidates, [(d["class"], round(d["score"], 3), [round(v) for v in d["box"]]) for d in found])
        results.append({
            "name": name, "family": family, "input_px": list(size), "shape": [1, *raw.shape], "transposed": transposed,
            "unit": unit, "scale": scale, "seed": seed, "head_sha256": reference.sha256(np.ascontiguousarray(raw).tobytes()),
            "candidates_before_suppression": candidates, "detections": found,
        })
    document = {
        "provenance": {
            "script": "tests/golden/yolo.py",
            "date": datetime.date.today().isoformat(),
            "model": "none: heads made by the rule in the script's head",
            "numpy": importlib.metadata.version("numpy"),
        },
        "classes": CLASSES,
        "objects": OBJECTS,
        "class_thresholds": sorted(CLASS_THRESHOLDS.items()),
        "camera_px": CAMERA,
        "score_min": SCORE_MIN,
        "iou_max": IOU_MAX,
        "cases": results,
    }
    (reference.Path(__file__).parent / "yolo.json").write_text(reference.lines(reference.rounded(document)) + "\n")


if __name__ == "__main__":
    main()
