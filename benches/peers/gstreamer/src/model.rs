//! A frame to detections, by `yuv`, `fast_image_resize` and TensorFlow Lite's C interface.

use crate::{HEIGHT, WIDTH, clock_ns, now_ns};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::ffi::{CString, c_char, c_int, c_void};
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvRange, YuvStandardMatrix, yuv_nv12_to_rgb};

const SIDE: u32 = 300;
const CLASSES: usize = 24;
const SCORE: f32 = 0.4;
const IOU: f32 = 0.5;

/// `TfLiteXNNPackDelegateOptions`: the library writes and reads what it knows of it, 32 bytes in 2.17.
#[repr(C)]
struct XnnpackOptions {
    threads: i32,
    rest: [u32; 63],
}

unsafe extern "C" {
    fn TfLiteModelCreateFromFile(path: *const c_char) -> *mut c_void;
    fn TfLiteInterpreterOptionsCreate() -> *mut c_void;
    fn TfLiteInterpreterOptionsSetNumThreads(options: *mut c_void, threads: i32);
    fn TfLiteInterpreterOptionsAddDelegate(options: *mut c_void, delegate: *mut c_void);
    fn TfLiteXNNPackDelegateOptionsDefault() -> XnnpackOptions;
    fn TfLiteXNNPackDelegateCreate(options: *const XnnpackOptions) -> *mut c_void;
    fn TfLiteInterpreterCreate(model: *mut c_void, options: *mut c_void) -> *mut c_void;
    fn TfLiteInterpreterAllocateTensors(interpreter: *mut c_void) -> c_int;
    fn TfLiteInterpreterGetInputTensor(interpreter: *mut c_void, index: i32) -> *mut c_void;
    fn TfLiteInterpreterGetOutputTensor(interpreter: *mut c_void, index: i32) -> *mut c_void;
    fn TfLiteInterpreterInvoke(interpreter: *mut c_void) -> c_int;
    fn TfLiteTensorData(tensor: *mut c_void) -> *mut c_void;
    fn TfLiteTensorByteSize(tensor: *mut c_void) -> usize;
}

#[derive(Clone, Copy)]
struct Seen {
    class: usize,
    score: f32,
    /// Left, top, right, bottom.
    edges: [f32; 4],
}

pub struct Model {
    interpreter: *mut c_void,
    input: *mut c_void,
    outputs: [*mut c_void; 2],
    /// Centre y and x, height and width.
    anchors: Vec<[f32; 4]>,
    rgb: Vec<u8>,
    small: Image<'static>,
    resizer: Resizer,
    options: ResizeOptions,
    seen: Vec<Seen>,
}

/// The floats of a tensor.
///
/// # Safety
/// The tensor is a float32 one of a live interpreter whose tensors are allocated, and nobody else has its data meanwhile.
unsafe fn floats<'a>(tensor: *mut c_void) -> &'a mut [f32] {
    // SAFETY: the library's own address and length of it; float tensors are aligned.
    unsafe { std::slice::from_raw_parts_mut(TfLiteTensorData(tensor).cast(), TfLiteTensorByteSize(tensor) / 4) }
}

impl Model {
    pub fn new(path: &str, anchors: &str) -> Self {
        let path = CString::new(path).expect("a path without NUL");
        // SAFETY: each handle is used as the C interface asks: options and model live as long as the interpreter, which
        // is never deleted.
        let (interpreter, input, outputs) = unsafe {
            let model = TfLiteModelCreateFromFile(path.as_ptr());
            assert!(!model.is_null(), "the model cannot be read");
            let options = TfLiteInterpreterOptionsCreate();
            TfLiteInterpreterOptionsSetNumThreads(options, 1);
            let mut xnnpack = TfLiteXNNPackDelegateOptionsDefault();
            xnnpack.threads = 1;
            TfLiteInterpreterOptionsAddDelegate(options, TfLiteXNNPackDelegateCreate(&raw const xnnpack));
            let interpreter = TfLiteInterpreterCreate(model, options);
            assert!(!interpreter.is_null(), "no interpreter");
            assert_eq!(TfLiteInterpreterAllocateTensors(interpreter), 0);
            let output = |index| TfLiteInterpreterGetOutputTensor(interpreter, index);
            (interpreter, TfLiteInterpreterGetInputTensor(interpreter, 0), [output(0), output(1)])
        };
        let anchors = std::fs::read(anchors).expect("the anchors");
        let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
        let anchors = anchors.as_chunks::<16>().0.iter();
        Self {
            interpreter,
            input,
            outputs,
            anchors: anchors.map(|row| std::array::from_fn(|at| number(&row.as_chunks().0[at]))).collect(),
            rgb: vec![0; (WIDTH * HEIGHT * 3) as usize],
            small: Image::new(SIDE, SIDE, PixelType::U8x3),
            resizer: Resizer::new(),
            // Two columns and two rows a pixel, without a prefilter, as ours and OpenCV's.
            options: ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear)).use_alpha(false),
            seen: Vec::with_capacity(1024),
        }
    }

    /// The number of detections, and the invoke's nanoseconds, of the clock and of the CPU.
    pub fn run(&mut self, nv12: &[u8]) -> (usize, u64, u64) {
        let pixels = (WIDTH * HEIGHT) as usize;
        let image = YuvBiPlanarImage {
            y_plane: &nv12[..pixels],
            y_stride: WIDTH,
            uv_plane: &nv12[pixels..pixels * 3 / 2],
            uv_stride: WIDTH,
            width: WIDTH,
            height: HEIGHT,
        };
        let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt709);
        yuv_nv12_to_rgb(&image, &mut self.rgb, WIDTH * 3, range, matrix, YuvConversionMode::Balanced)
            .expect("sizes that fit");
        let whole = ImageRef::new(WIDTH, HEIGHT, &self.rgb, PixelType::U8x3).expect("a whole image");
        self.resizer.resize(&whole, &mut self.small, &self.options).expect("the same pixels");
        // SAFETY: a float32 model, its tensors allocated; the slice ends before the invoke.
        let tensor = unsafe { floats(self.input) };
        for (float, byte) in tensor.iter_mut().zip(self.small.buffer()) {
            *float = f32::from(*byte) * (1.0 / 127.5) - 1.0;
        }
        let cpu_ns = || clock_ns(libc::CLOCK_THREAD_CPUTIME_ID);
        let (start_ns, start_cpu_ns) = (now_ns(), cpu_ns());
        // SAFETY: a live interpreter, its tensors allocated.
        assert_eq!(unsafe { TfLiteInterpreterInvoke(self.interpreter) }, 0);
        let (invoke_ns, invoke_cpu_ns) = (now_ns() - start_ns, cpu_ns() - start_cpu_ns);
        (self.decode(), invoke_ns, invoke_cpu_ns)
    }

    fn decode(&mut self) -> usize {
        // SAFETY: as above; both are read before the next invoke.
        let (boxes, scores) = unsafe { (floats(self.outputs[0]), floats(self.outputs[1])) };
        let floor = (SCORE / (1.0 - SCORE)).ln();
        self.seen.clear();
        let rows = boxes.as_chunks::<4>().0.iter().zip(scores.as_chunks::<CLASSES>().0).zip(&self.anchors);
        for (([dy, dx, dh, dw], logits), [y, x, height, width]) in rows {
            // The first is the background.
            for (class, &logit) in logits.iter().enumerate().skip(1).filter(|(_, logit)| **logit >= floor) {
                let (cx, cy) = (dx / 10.0 * width + x, dy / 10.0 * height + y);
                let (w, h) = ((dw / 5.0).exp() * width, (dh / 5.0).exp() * height);
                let edges = [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0];
                self.seen.push(Seen { class, score: 1.0 / (1.0 + (-logit).exp()), edges });
            }
        }
        self.seen.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut kept = 0;
        for at in 0..self.seen.len() {
            let one = self.seen[at];
            let hidden = |other: &Seen| other.class == one.class && overlap(other.edges, one.edges) > IOU;
            if !self.seen[..kept].iter().any(hidden) {
                self.seen[kept] = one;
                kept += 1;
            }
        }
        kept
    }
}

/// Intersection over union.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |least: usize| (a[least + 2].min(b[least + 2]) - a[least].max(b[least])).max(0.0);
    let area = |edges: [f32; 4]| (edges[2] - edges[0]) * (edges[3] - edges[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}
