//! One picture from one camera of a board, by the way that a frame takes in a run: the board's memory, the
//! driver's queue, the lane, and the pass that makes a model's input.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::fit::{Fitted, fit};
use crate::appliance::prepare::format::{describe, image_bytes};
use crate::appliance::prepare::jpeg::Buffers;
use crate::appliance::prepare::memory::{Allocated, Lane, allocate};
use crate::appliance::prepare::own_files::is_not_needed;
use crate::appliance::shared::options::Options;
use crate::appliance::threads::sizes;
use crate::capture::health::timestamps::Timestamps;
use crate::capture::stream::clip::{Clip, ClipKind};
use crate::capture::{Dequeue, Dequeued, FrameSource, Readiness, SourceError};
use crate::frame::{FrameMeta, StreamFormat};
use crate::infer::{TensorInfo, TensorType};
use crate::jpeg::{Jpeg, Samples};
use crate::preprocess::Plan;
use crate::profile::{Fit, View};
use crate::ring::{LaneProducer, LaneTap};
use crate::sys::clock::now_ns;
use crate::sys::io::poll::PollSet;
use crate::units::{MIB, NS_PER_MS};
use image::{Rgb, RgbImage};
use std::path::Path;

/// Longest side of a picture: that of the largest input tensor. A larger frame is halved until it fits.
const LONGEST_PX: u32 = 4096;
/// The frame around a camera's region: magenta, which little in the world is.
const OUTLINE: Rgb<u8> = Rgb([255, 0, 255]);
/// Its width.
const OUTLINE_PX: u32 = 2;

/// A picture, and what it was made from.
#[derive(Debug)]
pub struct Snapshot {
    /// Red, green and blue as the models get them: the whole picture as the camera has it, which is what the
    /// coordinates of detections refer to. What `region` leaves out has a frame around the rest.
    pub picture: RgbImage,
    /// What of it is looked at, and which way up.
    pub view: View,
    /// Negotiated format and way of exchanging buffers, in words.
    pub format: String,
    /// The driver's number of the frame.
    pub sequence: u32,
    /// The picture is so many times smaller than the camera's: 1, 2 or more where that is very large.
    pub reduced: u32,
}

/// Arms the one camera of the board, takes its `frames`-th whole frame, and lets go of it. No thread is
/// started and no model is read. `out` is where the picture will go, which the board must not need.
///
/// # Errors
/// The profile's faults; a camera that the board does not have; memory or a camera that cannot be had; no
/// whole frame within the camera's `time-out-ms`.
pub fn snapshot(board: &Path, camera: &str, frames: u32, out: &Path) -> Result<Snapshot, Failure> {
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Camera, format!("camera {camera}: {error}"))
    };
    let (allocated, lane) = alone(board, camera, out)?;
    let format = format!("{} by {}", describe(&lane.source.format()), lane.io);
    let camera = &allocated.fitted.board.cameras[0];
    let (view, time_out_ns) = (camera.view, camera.time_out_ms * NS_PER_MS);
    let width_px = lane.source.format().width_px;
    let mut session = Session::new(lane, time_out_ns).map_err(|error| refuse(&error))?;
    let taken = session.nth(frames);
    // The driver stops writing before its slots go.
    let _ = session.source.stop();
    let frame = taken.map_err(|error| refuse(&error))?;
    let mut picture = session.convert(&frame).map_err(|error| refuse(&error))?;
    if let Some(region) = view.region_px {
        // A large picture was halved, some times.
        let shown = region.map(|px| px * picture.width() / width_px);
        outline(&mut picture, shown);
    }
    Ok(Snapshot {
        reduced: width_px.div_ceil(picture.width().max(1)),
        picture,
        view,
        format,
        sequence: frame.sequence,
    })
}

/// Draws a frame around a region (left, top, width, height), as far as there is picture around it.
fn outline(picture: &mut RgbImage, [left, top, width, height]: [u32; 4]) {
    let around = |start: u32, length: u32| {
        let (first, end) = (start, start.saturating_add(length));
        (
            first.saturating_sub(OUTLINE_PX)..end.saturating_add(OUTLINE_PX),
            first..end,
        )
    };
    let ((columns, inner_columns), (rows, inner_rows)) = (around(left, width), around(top, height));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let inside = inner_columns.contains(&x) && inner_rows.contains(&y);
        if columns.contains(&x) && rows.contains(&y) && !inside {
            *pixel = OUTLINE;
        }
    }
}

/// Most bytes of a clip: it is held in memory until its last frame, so that no disk holds the camera up.
const LONGEST_CLIP_BYTES: u64 = 512 * MIB;

/// Frames of a camera as a stream that can be watched again.
#[derive(Debug)]
pub struct Recorded {
    /// The stream.
    pub stream: Vec<u8>,
    /// Negotiated format and way of exchanging buffers, in words.
    pub format: String,
    /// Numbers of the driver that are missing between the first frame and the last.
    pub missing: u64,
}

/// Arms the one camera of the board, and takes its first `frames` whole frames as a clip.
///
/// # Errors
/// As of [`snapshot`]; and a clip that cannot hold the camera's format, or would be too large.
pub fn clip(
    board: &Path,
    camera: &str,
    frames: u32,
    (kind, out): (ClipKind, &Path),
) -> Result<Recorded, Failure> {
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Camera, format!("camera {camera}: {error}"))
    };
    let (allocated, lane) = alone(board, camera, out)?;
    let stream = lane.source.format();
    let format = format!("{} by {}", describe(&stream), lane.io);
    let clip = Clip::new(&stream, kind).ok_or_else(|| {
        let found = stream.pixel.name();
        refuse(&format!(
            "found format {found}, expected one of 8-bit luma with differences in 4:2:0 or 4:2:2 or alone for a \
             clip named *.y4m, and MJPG for *.mjpeg"
        ))
    })?;
    let bytes = clip.frame_bytes() as u64 * u64::from(frames);
    if bytes > LONGEST_CLIP_BYTES {
        let most = LONGEST_CLIP_BYTES / clip.frame_bytes() as u64;
        let message =
            format!("--frames: found {frames}, expected at most {most} for a clip of {format}");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut recorded = Recorded {
        stream: clip.header(),
        format,
        missing: 0,
    };
    // Every page is there before the first frame.
    let header_bytes = recorded.stream.len();
    let most = usize::try_from(bytes).unwrap_or(usize::MAX);
    recorded.stream.resize(header_bytes + most, 1);
    recorded.stream.truncate(header_bytes);
    let time_out_ns = allocated.fitted.board.cameras[0].time_out_ms * NS_PER_MS;
    let mut session = Session::new(lane, time_out_ns).map_err(|error| refuse(&error))?;
    let taken = session.clip(frames, &clip, &mut recorded);
    // The driver stops writing before its slots go.
    let _ = session.source.stop();
    taken.map_err(|error| refuse(&error))?;
    Ok(recorded)
}

/// The memory of a board that has this camera alone, and the camera in it.
fn alone(board: &Path, camera: &str, out: &Path) -> Result<(Allocated, Lane), Failure> {
    let fitted = fit(board, sizes::fixed)?;
    is_not_needed("OUT", out, board, &fitted.board)?;
    let fitted = with_one_camera(fitted, camera)?;
    let mut allocated = allocate(fitted, &Options::default(), Fitted::over_budget)?;
    let lane = allocated.lanes.pop();
    let lane = lane.ok_or_else(|| Failure::new(Exit::Internal, "a camera without a lane"))?;
    Ok((allocated, lane))
}

/// The board as if it had this camera alone.
fn with_one_camera(mut fitted: Fitted, camera: &str) -> Result<Fitted, Failure> {
    let cameras = &mut fitted.board.cameras;
    let Some(wanted) = cameras.iter().position(|one| one.name == camera) else {
        let names: Vec<&str> = cameras.iter().map(|one| one.name.as_str()).collect();
        let names = names.join(", ");
        return Err(Failure::new(
            Exit::Usage,
            format!("--camera: found {camera}, expected a camera of the board: {names}"),
        ));
    };
    cameras.swap(0, wanted);
    cameras.truncate(1);
    Ok(fitted)
}

/// Why there is no picture.
#[derive(Debug)]
enum SnapshotError {
    Source(SourceError),
    /// No whole frame within the time-out, and the damaged ones meanwhile.
    Silent {
        time_out_ms: u64,
        damaged: u64,
    },
    /// The source has no more frames.
    Ended {
        whole: u32,
        wanted: u32,
    },
    /// The frame did not pass the lane or the conversion.
    Spoilt(String),
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Silent {
                time_out_ms,
                damaged,
            } => write!(
                f,
                "found no whole frame within time-out-ms = {time_out_ms} ({damaged} damaged ones), expected \
                 a stream"
            ),
            Self::Ended { whole, wanted } => {
                write!(f, "found {whole} frames, expected {wanted} (--frames)")
            }
            Self::Spoilt(why) => write!(f, "the frame is spoilt: {why}"),
        }
    }
}

impl From<SourceError> for SnapshotError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// A camera that streams.
struct Session {
    // Dropped first: the slots outlive what writes into them.
    source: Box<dyn FrameSource>,
    producer: LaneProducer,
    tap: LaneTap,
    format: StreamFormat,
    time_out_ns: u64,
}

impl Session {
    fn new(lane: Lane, time_out_ns: u64) -> Result<Self, SnapshotError> {
        let tap = lane.taps.into_iter().next();
        let mut session = Self {
            format: lane.source.format(),
            source: lane.source,
            producer: lane.producer,
            tap: tap.ok_or_else(|| SnapshotError::Spoilt("no reader".into()))?,
            time_out_ns,
        };
        session.lend()?;
        session.source.start(now_ns())?;
        Ok(session)
    }

    /// Lends every free slot to the driver.
    fn lend(&mut self) -> Result<(), SourceError> {
        while let Some(slot) = self.producer.take_free() {
            let index = self.producer.queued(slot);
            self.source.queue(index, now_ns())?;
        }
        Ok(())
    }

    /// The `wanted`-th whole frame from now on, published.
    fn nth(&mut self, wanted: u32) -> Result<Dequeued, SnapshotError> {
        let mut polled = PollSet::new();
        let mut deadline_ns = now_ns().saturating_add(self.time_out_ns);
        let (mut whole, mut damaged) = (0, 0);
        loop {
            let now = now_ns();
            if now >= deadline_ns {
                return Err(SnapshotError::Silent {
                    time_out_ms: self.time_out_ns / NS_PER_MS,
                    damaged,
                });
            }
            let frame = match self.source.dequeue(now)? {
                Dequeue::Frame(frame) => frame,
                Dequeue::NotReady => {
                    self.wait(&mut polled, now, deadline_ns);
                    continue;
                }
                Dequeue::Ended => return Err(SnapshotError::Ended { whole, wanted }),
            };
            let slot = self
                .producer
                .dequeued(frame.slot)
                .map_err(|error| SnapshotError::Spoilt(error.to_string()))?;
            if frame.damaged || frame.bytes_used < image_bytes(&self.format) {
                damaged += 1;
            } else {
                whole += 1;
                deadline_ns = now.saturating_add(self.time_out_ns);
            }
            if whole < wanted {
                self.producer.give_back(slot);
                self.lend()?;
                continue;
            }
            let verdict = Timestamps::new(self.format.interval_ns).check(&frame, now);
            let meta = FrameMeta::of(&self.format).map(|meta| FrameMeta {
                driver_sequence: frame.sequence,
                capture_ns: verdict.capture_ns,
                dequeue_ns: now,
                offset_bytes: frame.offset_bytes,
                bytes_used: frame.bytes_used,
                stamp: u32::from(verdict.stamp as u8),
                ..meta
            });
            let slot = meta
                .ok_or_else(|| SnapshotError::Spoilt("a picture too large".into()))
                .and_then(|meta| {
                    self.producer
                        .fill(slot, &meta)
                        .map_err(|error| SnapshotError::Spoilt(error.to_string()))
                })?;
            self.producer.publish(slot);
            return Ok(frame);
        }
    }

    /// The next `frames` whole frames.
    fn clip(
        &mut self,
        frames: u32,
        clip: &Clip,
        recorded: &mut Recorded,
    ) -> Result<(), SnapshotError> {
        let mut last = None;
        for whole in 0..frames {
            let frame = self.nth(1).map_err(|error| match error {
                SnapshotError::Ended { .. } => SnapshotError::Ended {
                    whole,
                    wanted: frames,
                },
                other => other,
            })?;
            if let Some(last) = last.replace(frame.sequence) {
                let step = frame.sequence.wrapping_sub(last);
                recorded.missing += u64::from(step.saturating_sub(1));
            }
            let lease = self
                .tap
                .claim_newest(|_| {})
                .map_err(|error| SnapshotError::Spoilt(error.to_string()))?
                .ok_or_else(|| SnapshotError::Spoilt("it was not published".into()))?;
            if !clip.push(lease.payload(), &mut recorded.stream) {
                return Err(SnapshotError::Spoilt("it is too short".into()));
            }
            drop(lease);
            self.lend()?;
        }
        Ok(())
    }

    fn wait(&self, polled: &mut PollSet, now_ns: u64, deadline_ns: u64) {
        polled.clear();
        let until_ns = match self.source.readiness() {
            Readiness::Fd(descriptor) => {
                polled.watch(descriptor);
                deadline_ns
            }
            Readiness::At(due_ns) => due_ns.min(deadline_ns),
        };
        polled.wait(until_ns.saturating_sub(now_ns));
    }

    /// The published frame as a picture, by the pass that makes a model's input.
    fn convert(&self, frame: &Dequeued) -> Result<RgbImage, SnapshotError> {
        let spoilt = |error: &dyn std::fmt::Display| SnapshotError::Spoilt(error.to_string());
        let lease = self
            .tap
            .claim_newest(|_| {})
            .map_err(|error| spoilt(&error))?
            .ok_or_else(|| spoilt(&"it was not published"))?;
        lease.verify().map_err(|error| spoilt(&error))?;
        if lease.header().driver_sequence != frame.sequence {
            return Err(spoilt(&"another frame was published"));
        }
        let (mut width_px, mut height_px) = (self.format.width_px, self.format.height_px);
        while width_px.max(height_px) > LONGEST_PX {
            (width_px, height_px) = (width_px.div_ceil(2), height_px.div_ceil(2));
        }
        let tensor = TensorInfo {
            name: "picture".into(),
            shape: vec![1, height_px as usize, width_px as usize, 3],
            kind: TensorType::U8,
            scale: 1.0,
            zero_point: 0,
        };
        let jpeg = Jpeg::new(&self.format, Samples::Rgb);
        let format = jpeg.map_or(self.format, |jpeg| jpeg.decoded());
        let plan = Plan::new(&format, &tensor, Fit::Stretch, [0.0, 255.0])
            .map_err(|error| spoilt(&error))?;
        let decoding = self.format.pixel.decoding(
            self.format.size_bytes,
            self.format.width_px,
            self.format.height_px,
        );
        let (mut copy, mut picture) = Buffers::once(decoding);
        let samples = match jpeg {
            None => lease.payload(),
            Some(jpeg) => {
                let taken = jpeg.take(lease.payload(), &mut copy);
                let taken = taken.map_err(|damage| spoilt(&damage))?;
                jpeg.decode(&copy[..taken], &mut picture)
                    .map_err(|damage| spoilt(&damage))?
            }
        };
        let mut bytes = vec![0; tensor.bytes()];
        plan.run(samples, &mut bytes)
            .map_err(|error| spoilt(&error))?;
        RgbImage::from_raw(width_px, height_px, bytes).ok_or_else(|| spoilt(&"its size is wrong"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_lies_around_the_region_and_within_the_picture() {
        let mut picture = RgbImage::new(8, 6);
        outline(&mut picture, [0, 3, 4, 2]);
        let drawn: Vec<String> = picture
            .rows()
            .map(|row| {
                row.map(|pixel| if *pixel == OUTLINE { '#' } else { '.' })
                    .collect()
            })
            .collect();
        let expected = [
            "........", "######..", "######..", "....##..", "....##..", "######..",
        ];
        assert_eq!(drawn, expected);
    }
}
