//! `pinsight-bench preprocess`: what a tensor costs, from camera buffer to the last element, and how far that is
//! from moving the same bytes.
//!
//! One thread, pinned. The frame is of 1080p and full of noise, the same each time: it is as near to the
//! core as it has stayed since the last pass, as it is for the peers of `benches/preprocess_peers.py`.
//! Frame and tensor begin at a cache line, as slots and TensorFlow Lite's tensors do.

use crate::error::BenchError;
use crate::harness::machine::{Cores, pin};
use crate::report::figures::ratio;
use crate::report::{Bar, Plot, Report, Table};
use clap::Args;
use pinsight::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use pinsight::infer::{TensorInfo, TensorType};
use pinsight::preprocess::{Plan, Preparation};
use pinsight::profile::{Channels, Fit, InputRange, Resample, View};
use pinsight::sys::clock::now_ns;
use serde::Serialize;
use std::hint::black_box;

const WIDTH_PX: u32 = 1920;
const HEIGHT_PX: u32 = 1080;
/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// What is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Passes of each case; the median counts
    #[arg(long, default_value_t = Settings::default().passes)]
    passes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { passes: 61 }
    }
}

/// The figures of one case.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// V4L2's four-character code.
    format: &'static str,
    /// Width and height of the tensor.
    side_px: usize,
    /// NumPy's name of the element type.
    tensor: &'static str,
    /// The profile's word.
    resample: &'static str,
    /// What ran it.
    kernel: &'static str,
    /// Median of the passes.
    p50_ns: u64,
    /// The quickest pass.
    least_ns: u64,
    /// Bytes of cache lines that are read, and of the tensor that is written.
    touched_bytes: usize,
    /// What reading so many bytes takes, at the rate measured here.
    limit_ns: f64,
}

/// The word of a profile for it.
const fn word(resample: Resample) -> &'static str {
    match resample {
        Resample::Bilinear => "bilinear",
        Resample::Nearest => "nearest",
        Resample::Area => "area",
    }
}

/// The cases, in the order of the table.
fn cases() -> Vec<(PixelFormat, usize, TensorType, Resample)> {
    let mut cases = Vec::new();
    for kind in [
        TensorType::F32,
        TensorType::F16,
        TensorType::U8,
        TensorType::I8,
    ] {
        for resample in [Resample::Bilinear, Resample::Area, Resample::Nearest] {
            for pixel in [PixelFormat::Nv12, PixelFormat::Yuyv] {
                for side_px in [300, 640] {
                    cases.push((pixel, side_px, kind, resample));
                }
            }
        }
    }
    cases
}

/// Measures every case.
///
/// # Errors
/// No passes, or a machine that refuses the core.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str) + Send,
) -> Result<Report, BenchError> {
    if settings.passes == 0 {
        return Err(BenchError::Setting("0 passes, expected at least 1".into()));
    }
    let core = Cores::allowed()?.consumer();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            pin(core)?;
            pinned(settings, &mut progress)
        });
        work.join()
            .map_err(|_| BenchError::Machine("the measuring thread died".into()))?
    })
}

/// On the thread that measures.
fn pinned(settings: &Settings, progress: &mut impl FnMut(&str)) -> Result<Report, BenchError> {
    let bytes_per_ns = read_rate(settings.passes);
    let mut rows = Vec::new();
    for (pixel, side_px, kind, resample) in cases() {
        progress(&format!("{} to {side_px}", pixel.name()));
        rows.push(measure(
            settings,
            pixel,
            side_px,
            kind,
            resample,
            bytes_per_ns,
        )?);
    }
    Ok(report(settings, bytes_per_ns, &rows))
}

fn format_of(pixel: PixelFormat) -> Result<StreamFormat, BenchError> {
    let stride_bytes = u32::try_from(pixel.row_bytes(WIDTH_PX)).map_err(BenchError::machine)?;
    let bytes = pixel.image_bytes(stride_bytes, HEIGHT_PX);
    Ok(StreamFormat {
        pixel,
        width_px: WIDTH_PX,
        height_px: HEIGHT_PX,
        stride_bytes,
        size_bytes: u32::try_from(bytes).map_err(BenchError::machine)?,
        colour: Colour {
            encoding: Encoding::Bt709,
            quantization: Quantization::Limited,
        },
        interval_ns: 0,
    })
}

fn tensor_of(side_px: usize, kind: TensorType) -> TensorInfo {
    let (scale, zero_point) = match kind {
        TensorType::F32 | TensorType::F16 => (0.0, 0),
        TensorType::U8 => (1.0 / 255.0, 0),
        TensorType::I8 => (1.0 / 255.0, -128),
    };
    TensorInfo {
        name: "input".into(),
        shape: vec![1, side_px, side_px, 3],
        kind,
        scale,
        zero_point,
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(next).collect()
}

/// Median and least time of `passes` calls.
fn time(passes: usize, mut pass: impl FnMut()) -> (u64, u64) {
    pass();
    let mut times: Vec<u64> = (0..passes)
        .map(|_| {
            let start = now_ns();
            pass();
            now_ns() - start
        })
        .collect();
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or(0);
    (at(passes / 2), at(0))
}

/// Bytes a nanosecond at which this core reads a frame that it has read before.
#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn read_rate(passes: usize) -> f64 {
    let frame = noise((WIDTH_PX * HEIGHT_PX * 3 / 2) as usize);
    let (p50_ns, _) = time(passes, || {
        // Eight sums, so that none waits for another.
        let mut sums = [0_u64; 8];
        for chunk in black_box(&frame).as_chunks::<8>().0.as_chunks::<8>().0 {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum ^= u64::from_ne_bytes(*word);
            }
        }
        black_box(sums);
    });
    frame.len() as f64 / p50_ns.max(1) as f64
}

/// The first `bytes` from a cache line on: as slots lie, and TensorFlow Lite's tensors.
fn lined(memory: &mut [u8], bytes: usize) -> &mut [u8] {
    let at = memory.as_ptr().align_offset(LINE_BYTES);
    memory.get_mut(at..at + bytes).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn measure(
    settings: &Settings,
    pixel: PixelFormat,
    side_px: usize,
    kind: TensorType,
    resample: Resample,
    bytes_per_ns: f64,
) -> Result<Row, BenchError> {
    let format = format_of(pixel)?;
    let tensor = tensor_of(side_px, kind);
    let preparation = Preparation {
        fit: Fit::Stretch,
        resample,
        channels: Channels::Rgb,
        range: InputRange::One([0.0, 1.0]),
        view: View::default(),
    };
    let plan = Plan::prepared(&format, &tensor, &preparation).map_err(BenchError::machine)?;
    let mut frame_memory = vec![0; plan.frame_bytes() + LINE_BYTES];
    let frame = lined(&mut frame_memory, plan.frame_bytes());
    frame.copy_from_slice(&noise(plan.frame_bytes()));
    let mut tensor_memory = vec![0; plan.tensor_bytes() + LINE_BYTES];
    let out = lined(&mut tensor_memory, plan.tensor_bytes());
    let mut failed = None;
    let (p50_ns, least_ns) = time(settings.passes, || {
        failed = plan
            .run(black_box(&*frame), black_box(&mut *out))
            .err()
            .or(failed);
    });
    if let Some(error) = failed {
        return Err(BenchError::machine(error));
    }
    let touched_bytes = plan.read_bytes() + plan.tensor_bytes();
    Ok(Row {
        format: pixel.name(),
        side_px,
        tensor: kind.name(),
        resample: word(resample),
        kernel: plan.kernel().name(),
        p50_ns,
        least_ns,
        touched_bytes,
        limit_ns: touched_bytes as f64 / bytes_per_ns,
    })
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
fn report(settings: &Settings, bytes_per_ns: f64, rows: &[Row]) -> Report {
    let name = |row: &Row| {
        let Row {
            format,
            side_px,
            tensor,
            resample,
            ..
        } = row;
        format!("{format} to {side_px} x {side_px} {tensor}, {resample}")
    };
    let cells = |row: &Row| {
        vec![
            name(row),
            row.kernel.to_owned(),
            format!("{:.0}", row.p50_ns as f64 / 1e3),
            format!("{:.0}", row.least_ns as f64 / 1e3),
            format!("{:.2}", row.touched_bytes as f64 / 1e6),
            format!("{:.0}", row.limit_ns / 1e3),
            ratio(row.p50_ns as f64, row.limit_ns),
        ]
    };
    Report {
        bench: "preprocess",
        question: format!("{WIDTH_PX} x {HEIGHT_PX} to a tensor of three channels"),
        conditions: vec![
            ("threads", "one, pinned to the last core".into()),
            ("passes", settings.passes.to_string()),
            (
                "reading",
                format!("{bytes_per_ns:.1} GB/s, a frame read before"),
            ),
        ],
        tables: vec![Table {
            title: String::new(),
            columns: vec![
                "case", "kernel", "P50 us", "least us", "MB", "limit us", "ratio",
            ],
            rows: rows.iter().map(cells).collect(),
        }],
        notes: vec![
            "MB: cache lines read and tensor written; limit: reading so much, at the rate above"
                .into(),
        ],
        rows: serde_json::to_value(rows).unwrap_or_default(),
        plot: Plot::Bars {
            axis: "us".into(),
            logarithmic: false,
            bars: rows
                .iter()
                .map(|row| Bar {
                    name: name(row),
                    length: row.p50_ns as f64 / 1e3,
                    ours: true,
                })
                .collect(),
            limit: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_row_and_touches_what_it_reads_and_writes() {
        let rows: Vec<Row> = cases()
            .into_iter()
            .filter(|case| case.1 == 300)
            .map(|(pixel, side_px, kind, resample)| {
                measure(&Settings { passes: 1 }, pixel, side_px, kind, resample, 1.0).unwrap()
            })
            .collect();
        assert_eq!(rows.len(), cases().len() / 2);
        for row in &rows {
            assert!(row.least_ns > 0, "{row:?}");
            // A tensor of bytes at least, and rows 300 times.
            assert!(row.touched_bytes > 300 * 300 * 3 + 300 * 1920, "{row:?}");
            assert!(
                row.touched_bytes < 1920 * 1080 * 2 + 300 * 300 * 12 + 1,
                "{row:?}"
            );
        }
        let report = report(&Settings::default(), 1.0, &rows);
        assert_eq!(
            report.json()["rows"].as_array().map(Vec::len),
            Some(rows.len())
        );
    }
}
