#!/usr/bin/env python3
"""SSD MobileNetV2's detections computed a second time, apart from the program.

    .cache/golden/bin/python tests/golden/ssd.py    writes tests/golden/ssd.json (set-up: reference.py)

Frame and tensor follow the rules of reference.py; a "stretch" case fills the tensor instead of keeping
proportions. What is SSD's own:

anchors  six grids of ceil(300 / 16), ceil(300 / 32), ... cells; scale k of 6 is 0.2 + 0.75 k / 5. Each
         cell has width = scale * sqrt(ratio), height = scale / sqrt(ratio) for ratios 1, 2, 1/2, 3, 1/3,
         then a square of sqrt(scale k * scale k+1), where scale 6 is 1. The first grid has three: the
         square of 0.1, then ratios 2 and 1/2.
decode   y = ty / 10 * anchor height + anchor y, x likewise; h = exp(th / 5) * anchor height, w likewise,
         from (ty, tx, th, tw). Scores: sigmoid of the logits. Column 0 is the background. A box has the
         class of its greatest score; kept from the case's score_min; greedy suppression within a class
         at IoU > the case's iou_max, strongest first.

# Source
TensorFlow Object Detection API (`create_ssd_anchors`, `faster_rcnn_box_coder`).
"""

import datetime
import importlib.metadata
import math

import numpy as np
import reference
from ai_edge_litert.interpreter import Interpreter

MODEL = reference.ROOT / ".cache/models/ssd_mobilenetv2_oidv4_fp16.tflite"
SIDE = 300
SCORE_MIN, IOU_MAX = 0.4, 0.5
LABELS = ["Bicycle", "Boot", "Laptop", "Person", "Chair", "Cattle", "Desk", "Cat", "Computer mouse",
          "Computer monitor", "Box", "Mug", "Coffee cup", "Stationary bicycle", "Table", "Bottle",
          "High heels", "Vehicle", "Footwear", "Dog", "Book", "Camera", "Car"]

# name, photograph, repeat, window x y width height, format, encoding, fit
CASES = [
    ("astronaut", "astronaut", 2, (0, 0, 1024, 1024), "NV12", "bt709", "stretch"),
    ("astronaut-wide", "astronaut", 4, (0, 100, 1920, 1080), "NV12", "bt709", "letterbox"),
    ("astronaut-wide-stretched", "astronaut", 4, (64, 0, 1920, 1440), "YUYV", "bt601", "stretch"),
    ("cat", "chelsea", 4, (0, 0, 1600, 1200), "YUYV", "bt601", "stretch"),
    ("cat-wide", "chelsea", 4, (0, 0, 1800, 1080), "NV12", "bt709", "letterbox"),
    ("coffee", "coffee", 2, (0, 0, 1200, 800), "NV12", "bt709", "stretch"),
    ("coffee-close", "coffee", 4, (300, 100, 1920, 1080), "YUYV", "bt601", "letterbox"),
]


def anchors():
    scales = [0.2 + 0.75 * k / 5 for k in range(6)] + [1.0]
    out = []
    for grid, scale in enumerate(scales[:6]):
        cells = math.ceil(SIDE / (16 << grid))
        if grid == 0:
            kinds = [(0.1, 0.1), (scale * math.sqrt(2), scale / math.sqrt(2)), (scale / math.sqrt(2), scale * math.sqrt(2))]
        else:
            kinds = [(scale * math.sqrt(r), scale / math.sqrt(r)) for r in (1, 2, 1 / 2, 3, 1 / 3)]
            kinds.append((math.sqrt(scale * scales[grid + 1]),) * 2)
        for row in range(cells):
            for column in range(cells):
                out += [((column + 0.5) / cells, (row + 0.5) / cells, w, h) for w, h in kinds]
    return np.array(out)


def detections(boxes, logits, width, height, fit):
    scores = 1 / (1 + np.exp(-logits[:, 1:]))
    anchor = anchors()
    assert anchor.shape[0] == boxes.shape[0]
    y = boxes[:, 0] / 10 * anchor[:, 3] + anchor[:, 1]
    x = boxes[:, 1] / 10 * anchor[:, 2] + anchor[:, 0]
    h = np.exp(boxes[:, 2] / 5) * anchor[:, 3]
    w = np.exp(boxes[:, 3] / 5) * anchor[:, 2]
    scaled_w, scaled_h, left, top = fit(width, height, SIDE)
    to_x, to_y = width / scaled_w, height / scaled_h
    camera = np.stack([((x - w / 2) * SIDE - left) * to_x, ((y - h / 2) * SIDE - top) * to_y,
                       w * SIDE * to_x, h * SIDE * to_y], axis=-1)
    best = scores.max(axis=1)
    label = scores.argmax(axis=1)
    found = []
    for index in np.argsort(-best, kind="stable"):
        if best[index] < SCORE_MIN:
            break
        box = [float(v) for v in camera[index]]
        if all(reference.iou(box, kept["box"]) <= IOU_MAX for kept in found if kept["class"] == label[index]):
            found.append({"class": int(label[index]), "label": LABELS[label[index]], "score": float(best[index]), "box": box})
    return found, int((best >= SCORE_MIN).sum()), float(best[best < SCORE_MIN].max())


def main():
    interpreter = Interpreter(str(MODEL), num_threads=1)
    interpreter.allocate_tensors()
    outputs = {o["name"]: o["index"] for o in interpreter.get_output_details()}
    results = []
    for name, photograph, repeat, (x, y, width, height), layout, encoding, fit in CASES:
        window = reference.canvas(photograph, repeat)[y:y + height, x:x + width]
        assert window.shape == (height, width, 3), window.shape
        planes = reference.encode(window, layout, encoding)
        place = getattr(reference, fit)
        picture = reference.tensor(reference.decode_colour(*planes, encoding), SIDE, place)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
        interpreter.invoke()
        raw = [interpreter.get_tensor(outputs[f"raw_outputs/{which}"])[0].astype(np.float64)
               for which in ("box_encodings", "class_predictions")]
        found, candidates, below = detections(*raw, width, height, place)
        print(name, candidates, round(below, 3), [(d["label"], round(d["score"], 4), [round(v) for v in d["box"]]) for d in found])
        results.append({
            "name": name, "photograph": photograph, "repeat": repeat,
            "window_px": {"x": x, "y": y, "width": width, "height": height},
            "format": layout, "encoding": encoding, "fit": fit,
            "frame_sha256": reference.sha256(reference.pack(*planes, layout)),
            "tensor_samples": reference.samples(picture, 100),
            "candidates_before_suppression": candidates,
            "strongest_score_below_threshold": below,
            "detections": found,
        })
    version = importlib.metadata.version
    document = {
        "provenance": {
            "script": "tests/golden/ssd.py",
            "date": datetime.date.today().isoformat(),
            "interpreter": f"ai-edge-litert {version('ai-edge-litert')}, 1 thread, x86-64",
            "numpy": version("numpy"),
            "pillow": version("pillow"),
            "model": {"package": "npm @mediapipe/objectron 0.4.1675468480", "file": MODEL.name,
                      "sha256": reference.sha256(MODEL.read_bytes())},
            "photographs": "scikit-image 0.26.0, as in face_demo.json",
        },
        "labels": LABELS,
        "box": "x, y, width, height in camera pixels, unclipped",
        "score_min": SCORE_MIN,
        "iou_max": IOU_MAX,
        "cases": results,
    }
    (reference.Path(__file__).parent / "ssd.json").write_text(reference.lines(reference.rounded(document)) + "\n")


if __name__ == "__main__":
    main()
