//! The profile that `pinsight probe --write` makes of what it found: text, from facts. Pure.

use crate::frame::PixelFormat;
use crate::resources::Machine;
use crate::sys::device::v4l2::{Camera, OfferedFormat};
use crate::units::{KIB, MIB};
use std::cmp::Reverse;
use std::fmt::Write as _;
use std::path::Path;

/// The picture that is looked for: more pixels cost more than they show to today's models.
const ENOUGH_PX: (u32, u32) = (1920, 1080);
/// The rate that is looked for.
const ENOUGH_HZ: f64 = 30.0;
/// A camera slower than this is watched at a smaller size instead, if it is faster there.
const FLUID_HZ: f64 = 10.0;
/// Where a range of sizes is offered and no list.
const USUAL_PX: (u32, u32) = (1280, 720);
/// Buffers that stay with the driver, as the key's default has it.
const DRIVER_SLOTS: u64 = 4;

/// What is known when a profile is written.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// The board's name.
    pub name: &'a str,
    /// Cores, nodes and pages.
    pub machine: &'a Machine,
    /// Every node that was found.
    pub cameras: &'a [Camera],
    /// The demo's detector, as the profile is to name it, and whether it is there.
    pub model: (&'a Path, bool),
}

/// What one camera is to deliver.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mode {
    pixel: PixelFormat,
    size_px: (u32, u32),
    rate_hz: f64,
}

/// The profile, and how many cameras are in it; 0 is one that needs none.
pub(super) fn profile(facts: &Facts<'_>) -> (String, usize) {
    let modes: Vec<(&Camera, Mode)> = facts
        .cameras
        .iter()
        .filter_map(|camera| Some((camera, mode(&camera.answer.as_ref().ok()?.formats)?)))
        .collect();
    let cores = cores(facts.machine);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = top(&mut text, facts, &modes);
    for (number, (camera, mode)) in modes.iter().enumerate() {
        let _ = v4l2(&mut text, number, camera, mode, cores.capture);
    }
    if modes.is_empty() {
        let _ = synthetic(&mut text, cores.capture);
    }
    let _ = rest(&mut text, facts, &cores);
    (text, modes.len())
}

/// Where threads go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cores {
    capture: usize,
    worker: usize,
}

/// Capture on the first core that may be used, inference on the last one, or on one that is kept from
/// others' work.
fn cores(machine: &Machine) -> Cores {
    let usable = machine.usable_cores();
    let capture = usable.first().copied().unwrap_or(0);
    let isolated = machine
        .cores
        .iter()
        .rfind(|core| core.allowed && core.isolated && core.index != capture)
        .map(|core| core.index);
    Cores {
        capture,
        worker: isolated.or(usable.last().copied()).unwrap_or(0),
    }
}

/// The best of what a camera offers and this program reads; `None` where there is nothing.
fn mode(formats: &[OfferedFormat]) -> Option<Mode> {
    let offered = |format: &OfferedFormat| {
        // Compressed frames want a malloc arena, whose size only a run tells: they are the user's choice.
        let pixel =
            PixelFormat::from_fourcc(format.fourcc).filter(|pixel| !pixel.is_compressed())?;
        let modes = format.sizes.iter().filter_map(move |size| {
            let single = size.least_px == size.most_px;
            let size_px = if single {
                size.most_px
            } else {
                let within =
                    |usual: u32, least: u32, most: u32| usual.clamp(least, most.max(least));
                (
                    within(USUAL_PX.0, size.least_px.0, size.most_px.0),
                    within(USUAL_PX.1, size.least_px.1, size.most_px.1),
                )
            };
            let rates = size.rates_hz.iter().copied();
            let rate_hz = rates
                .clone()
                .filter(|rate| *rate <= ENOUGH_HZ * 1.001)
                .max_by(f64::total_cmp)
                .or_else(|| rates.min_by(f64::total_cmp))
                .unwrap_or(ENOUGH_HZ);
            let sides = 16..=8192;
            let fits = [size_px.0, size_px.1]
                .iter()
                .all(|side| sides.contains(side) && side.is_multiple_of(2));
            let rates = 0.1..=1000.0;
            (fits && rates.contains(&rate_hz)).then_some(Mode {
                pixel,
                size_px,
                rate_hz,
            })
        });
        Some(modes.collect::<Vec<_>>())
    };
    let place = |mode: &Mode| {
        PixelFormat::ALL
            .iter()
            .position(|known| *known == mode.pixel)
    };
    let rank = |mode: &Mode| {
        let (width, height) = mode.size_px;
        let small = width <= ENOUGH_PX.0 && height <= ENOUGH_PX.1;
        let area = u64::from(width) * u64::from(height);
        (
            mode.rate_hz >= FLUID_HZ,
            small,
            // Of too large ones the smallest.
            if small { area } else { u64::MAX - area },
            Reverse(place(mode)),
        )
    };
    formats
        .iter()
        .filter_map(offered)
        .flatten()
        .max_by_key(rank)
}

fn top(text: &mut String, facts: &Facts<'_>, modes: &[(&Camera, Mode)]) -> std::fmt::Result {
    let name = facts.name;
    writeln!(
        text,
        "# Written by `pinsight probe --write` for the machine that it ran on. Every key, its range and its\n\
         # default: boards/README.md. Next: pinsight check FILE, then pinsight run FILE.\n\n\
         name = \"{name}\"\n\
         # For the field: true. Then what the machine lacks is a refusal, and no warning.\n\
         strict = false\n"
    )?;
    let kib = 2048;
    let frames: u64 = modes
        .iter()
        .map(|(_, mode)| {
            let (width, height) = mode.size_px;
            let row = u32::try_from(mode.pixel.row_bytes(width)).unwrap_or(u32::MAX);
            mode.pixel.image_bytes(row, height).next_multiple_of(4096) * (DRIVER_SLOTS + 2)
        })
        .sum();
    let pages = frames.max(6 * 3_112_960).div_ceil(kib * KIB) + 1;
    let free: u64 = facts
        .machine
        .nodes
        .iter()
        .filter_map(|node| node.pool(kib))
        .map(|pool| pool.free)
        .sum();
    writeln!(
        text,
        "[memory]\n\
         hugepage-kib = {kib}\n\
         # About {pages} hugepages hold the frames of this board; {free} are free. To have them:\n\
         #     sysctl vm.nr_hugepages={pages}\n\
         # For the field: \"refuse\". Then there is no start without them.\n\
         on-shortage = \"fallback\"\n\
         # Frames, model, stacks and queues together: nothing starts that needs more.\n\
         budget-mib = {}\n",
        (frames.div_ceil(MIB) + 128).next_multiple_of(64)
    )
}

/// A camera by the name that stays with it longest.
fn device(camera: &Camera) -> String {
    let by = |folder: &str| camera.links.iter().find(|link| link.starts_with(folder));
    by("/dev/v4l/by-id")
        .or_else(|| by("/dev/v4l/by-path"))
        .unwrap_or(&camera.node)
        .display()
        .to_string()
}

fn v4l2(
    text: &mut String,
    number: usize,
    camera: &Camera,
    mode: &Mode,
    core: usize,
) -> std::fmt::Result {
    let (width, height) = mode.size_px;
    let Ok(answer) = &camera.answer else {
        return Ok(());
    };
    let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
    // Three frames, and no less than the key's own default.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0.1 to 1000 Hz
    let interval_ms = (1000.0 / mode.rate_hz).ceil() as u64;
    let rate = format!("{:.3}", mode.rate_hz);
    writeln!(
        text,
        "[[camera]]\n\
         name = \"camera{number}\"\n\
         source = \"v4l2\"\n\
         # {} ({}), {}\n\
         device = {}\n\
         # `pinsight probe --formats` lists what else it offers.\n\
         format = \"{}\"\n\
         width-px = {width}\n\
         height-px = {height}\n\
         rate-hz = {}\n\
         # By trial and by measurement; the log of a run says what was taken and why.\n\
         io = \"auto\"\n\
         capture-core = {core}\n\
         # Older than this is stale, and counted so: a few frames.\n\
         max-age-ms = {}\n\
         # Silent for so long: the stream is started again.\n\
         time-out-ms = {}\n",
        plain(&answer.card),
        plain(&answer.driver),
        plain(&answer.bus),
        quoted(&device(camera)),
        mode.pixel.name(),
        rate.trim_end_matches('0').trim_end_matches('.'),
        (interval_ms * 4).max(250),
        (interval_ms * 10).max(2000),
    )
}

/// Text as TOML quotes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn synthetic(text: &mut String, core: usize) -> std::fmt::Result {
    writeln!(
        text,
        "[[camera]]\n\
         # No camera was found that delivers a format this program reads: moving colour bars stand for one. Put\n\
         # one in its place (source = \"v4l2\", device = \"/dev/video0\"), or write this file anew.\n\
         name = \"camera0\"\n\
         source = \"pattern\"\n\
         format = \"NV12\"\n\
         width-px = 1920\n\
         height-px = 1080\n\
         rate-hz = 30\n\
         capture-core = {core}\n\
         max-age-ms = 250\n\
         time-out-ms = 2000\n"
    )
}

fn rest(text: &mut String, facts: &Facts<'_>, cores: &Cores) -> std::fmt::Result {
    let (path, there) = facts.model;
    let missing = if there {
        ""
    } else {
        "# It is not there: put it there, or name another file with its checksum, decoder and labels.\n"
    };
    let alone = if cores.capture == cores.worker {
        "# The machine has one core for this program: capture and inference share it.\n"
    } else {
        "# Not the core where frames are taken.\n"
    };
    writeln!(
        text,
        "[[model]]\n\
         # BlazeFace short range finds faces up to two metres away.\n\
         {missing}\
         name = \"face\"\n\
         path = {}\n\
         # As `sha256sum` prints it: the file must be the one that was tested.\n\
         sha256 = \"{DEMO_SHA256}\"\n\
         decoder = \"blazeface-short\"\n\
         labels = [\"face\"]\n\
         input-range = [-1.0, 1.0]\n\
         \n\
         [[worker]]\n\
         name = \"detector\"\n\
         {alone}\
         cores = [{}]\n\
         model = \"face\"\n\
         # For the field: 50, and 60 under [capture]. It needs the right to SCHED_FIFO.\n\
         fifo-priority = 0\n\
         \n\
         [housekeeping]\n\
         core = {}",
        quoted(&path.display().to_string()),
        cores.worker,
        cores.capture
    )
}

/// Of the demo's detector.
pub(super) const DEMO_SHA256: &str =
    "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{self, Source};
    use crate::resources::{Core, Hugepages, Node};
    use crate::sys::device::v4l2::{Answer, OfferedSize};

    fn machine(cores: usize) -> Machine {
        Machine {
            cores: (0..cores)
                .map(|index| Core {
                    index,
                    node: 0,
                    isolated: false,
                    allowed: true,
                })
                .collect(),
            nodes: vec![Node {
                index: 0,
                hugepages: vec![Hugepages {
                    kib: 2048,
                    total: 8,
                    free: 5,
                }],
            }],
            page_bytes: 4096,
            default_hugepage_kib: 2048,
            available_bytes: 1 << 32,
            fifo_priority_limit: 0,
            memlock_bytes: None,
            rt_throttle_us_per_s: 0,
        }
    }

    fn size(width: u32, height: u32, rates_hz: &[f64]) -> OfferedSize {
        OfferedSize {
            least_px: (width, height),
            most_px: (width, height),
            rates_hz: rates_hz.to_vec(),
        }
    }

    fn format(fourcc: &[u8; 4], sizes: &[OfferedSize]) -> OfferedFormat {
        OfferedFormat {
            fourcc: *fourcc,
            description: String::new(),
            sizes: sizes.to_vec(),
        }
    }

    fn camera(node: &str, links: &[&str], formats: Vec<OfferedFormat>) -> Camera {
        Camera {
            node: node.into(),
            links: links.iter().map(Into::into).collect(),
            answer: Ok(Answer {
                card: "Cam \"HD\"\n".to_owned(),
                driver: "uvcvideo".to_owned(),
                bus: "usb-1".to_owned(),
                capabilities: String::new(),
                captures: true,
                multi_planar: false,
                controls: vec![],
                formats,
            }),
        }
    }

    fn written(machine: &Machine, cameras: &[Camera]) -> (profile::Board, usize) {
        let (text, count) = profile(&Facts {
            name: "mine",
            machine,
            cameras,
            model: (Path::new("/models/face.tflite"), false),
        });
        let board = profile::read("mine.toml", &text);
        (
            board.unwrap_or_else(|error| panic!("{error:?}\n{text}")),
            count,
        )
    }

    #[test]
    fn a_webcam_is_watched_at_the_largest_size_that_is_fluid() {
        // As webcams are: large pictures slowly, compressed ones apart.
        let yuyv = [
            size(640, 480, &[30.0, 15.0]),
            size(1280, 720, &[10.0, 5.0]),
            size(1920, 1080, &[5.0]),
        ];
        let unknown = format(b"H264", &[size(3840, 2160, &[30.0])]);
        let jpeg = format(b"MJPG", &[size(1920, 1080, &[30.0])]);
        let formats = vec![unknown.clone(), jpeg, format(b"YUYV", &yuyv)];
        let cameras = [
            camera(
                "/dev/video0",
                &["/dev/v4l/by-path/p", "/dev/v4l/by-id/usb-Cam"],
                formats,
            ),
            camera("/dev/video1", &[], vec![unknown]),
            Camera {
                answer: Err(crate::capture::SourceError::new("open", 13)),
                ..camera("/dev/video2", &[], vec![])
            },
        ];
        let (board, count) = written(&machine(4), &cameras);
        assert_eq!((board.cameras.len(), count), (1, 1));
        let found = &board.cameras[0];
        let device = "/dev/v4l/by-id/usb-Cam".into();
        assert_eq!(found.source, Source::V4l2 { device });
        assert_eq!((found.format, found.rate_hz), (PixelFormat::Yuyv, 10.0));
        assert_eq!((found.width_px, found.height_px), (1280, 720));
        assert_eq!((found.capture_core, &board.workers[0].cores), (0, &vec![3]));
    }

    #[test]
    fn a_board_camera_is_watched_in_full_hd_at_thirty_in_the_cheapest_format() {
        let sizes = [
            size(1280, 720, &[120.0, 60.0, 30.0]),
            size(1920, 1080, &[60.0, 30.0, 29.97]),
            size(3840, 2160, &[30.0]),
        ];
        let formats = vec![
            format(b"RG10", &sizes),
            format(b"NV12", &sizes),
            format(b"YUYV", &sizes),
        ];
        let (board, _) = written(&machine(2), &[camera("/dev/video0", &[], formats)]);
        let found = &board.cameras[0];
        assert_eq!((found.format, found.rate_hz), (PixelFormat::Nv12, 30.0));
        assert_eq!((found.width_px, found.height_px), (1920, 1080));
        // A sensor that has only larger pictures: its smallest.
        let sizes = [size(4056, 3040, &[10.0]), size(2028, 1520, &[40.0])];
        let (board, _) = written(
            &machine(2),
            &[camera("/dev/video0", &[], vec![format(b"RG10", &sizes)])],
        );
        let found = &board.cameras[0];
        assert_eq!((found.width_px, found.rate_hz), (2028, 40.0));
    }

    #[test]
    fn a_range_of_sizes_and_no_rates_at_all_make_a_sound_profile() {
        let range = OfferedSize {
            least_px: (16, 16),
            most_px: (3280, 2464),
            rates_hz: vec![],
        };
        let small = OfferedSize {
            most_px: (640, 480),
            ..range.clone()
        };
        for (range, expected) in [(range, (1280, 720)), (small, (640, 480))] {
            let formats = vec![format(b"YU12", &[range])];
            let (board, _) = written(&machine(1), &[camera("/dev/video0", &[], formats)]);
            let found = &board.cameras[0];
            assert_eq!((found.width_px, found.height_px), expected);
            assert_eq!((found.capture_core, &board.workers[0].cores), (0, &vec![0]));
        }
    }

    #[test]
    fn without_a_camera_moving_bars_stand_for_one() {
        let (board, count) = written(&machine(2), &[]);
        assert_eq!((count, &board.cameras[0].source), (0, &Source::Pattern));
        assert_eq!(board.name, "mine");
    }

    #[test]
    fn an_isolated_core_is_the_workers() {
        let mut machine = machine(4);
        machine.cores[2].isolated = true;
        assert_eq!(written(&machine, &[]).0.workers[0].cores, [2]);
    }
}
