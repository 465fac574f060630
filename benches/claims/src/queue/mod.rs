//! `pinsight-bench queue`: how soon after something happens it is known, where cameras are faster than the model.
//!
//! Every design gets the same cameras, the same consumer and the same cores; only the way between them
//! differs. A frame is due when its camera's clock says so, whatever the program does; its age counts
//! from that moment. The age of information of a camera is the age of its newest inferred frame, at every moment. A camera whose thread is blocked when a frame is due
//! never captures it: that frame is lost in the source.

mod baseline;
mod camera;
mod design;
mod drive;
mod ends;
mod lane;
mod report;
mod service;
mod settings;

pub(crate) use settings::Arguments;

use crate::error::BenchError;
use crate::harness::machine::Cores;
use crate::report::Report;
use design::Design;
use drive::drive;
use pinsight::units::{NS_PER_MS, NS_PER_S};
#[cfg(test)]
use report::POINTS;
use report::{Measured, report};
use settings::Settings;

/// Measures the designs one after the other.
///
/// # Errors
/// A setting that cannot be measured, or a machine that refuses threads or cores.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    if !(1..=pinsight::limits::MAX_CAMERAS).contains(&settings.cameras) {
        return Err(BenchError::Setting(format!(
            "{} cameras, expected 1 to 64",
            settings.cameras
        )));
    }
    if settings.frame_bytes < 16 || settings.seconds == 0 || settings.interval_ns < NS_PER_MS {
        return Err(BenchError::Setting(
            "frames have at least 16 bytes, cameras at most 1000 frames a second, and the measured \
             time is at least 1 s"
                .into(),
        ));
    }
    let measured = match &settings.model {
        None => settings.service_ns,
        Some(path) => service::alone_ns(path)?,
    };
    let settings = &Settings {
        service_ns: measured,
        ..settings.clone()
    };
    let cores = Cores::allowed()?;
    let mut measured = Vec::new();
    for &design in &settings.designs {
        let seconds = settings.seconds + settings.warm_up_ns(design) / NS_PER_S;
        progress(&format!("{}: {seconds} s", design.name()));
        measured.push(measure(settings, &cores, design)?);
    }
    Ok(report(settings, &cores, &measured))
}

fn measure(settings: &Settings, cores: &Cores, design: Design) -> Result<Measured, BenchError> {
    let (measured, memory) = match design {
        Design::Rendezvous | Design::Bounded1 | Design::Bounded8 | Design::Bounded64 => {
            let (sources, sink) =
                baseline::channel(design.capacity(), settings.cameras, settings.frame_bytes);
            let measured = drive(settings, cores, design, sources, sink);
            (measured, "the heap, each frame anew".to_owned())
        }
        Design::ArrayQueue => {
            let (sources, sink) = baseline::array_queue(settings.cameras, settings.frame_bytes);
            let measured = drive(settings, cores, design, sources, sink);
            (measured, "the heap, frames go round".to_owned())
        }
        Design::RingRoundRobin | Design::Ring => {
            let (sources, lanes, memory) =
                lane::lanes(settings.cameras, settings.frame_bytes, settings.interval_ns)?;
            let turn = match design {
                Design::Ring => lane::Turn::Scheduler,
                _ => lane::Turn::RoundRobin,
            };
            let sink = lanes.consumer(settings.interval_ns, settings.service_ns, turn)?;
            let measured = drive(settings, cores, design, sources, sink);
            (measured, memory)
        }
    };
    let mut measured = measured?;
    measured.row.memory = memory;
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::camera::Phases;
    use super::report::Row;
    use super::*;
    use std::path::Path;

    fn small(design: Design) -> Row {
        let settings = Settings {
            cameras: 3,
            interval_ns: 6 * NS_PER_MS,
            phases: Phases::Staggered,
            frame_bytes: 4096,
            service_ns: 4 * NS_PER_MS,
            model: None,
            seconds: 1,
            designs: vec![design],
        };
        let Measured { row, first_camera } =
            measure(&settings, &Cores::allowed().unwrap(), design).unwrap();
        assert!(row.aoi_p50_ns >= row.p50_ns.min(row.aoi_p99_ns), "{row:?}");
        assert!(first_camera.len() <= POINTS, "{design}");
        row
    }

    #[test]
    fn every_design_serves_whole_frames_and_accounts_for_the_rest_and_those_with_turns_serve_every_camera()
     {
        for design in Design::ALL {
            // Whose frame a full channel takes next is the scheduler's whim: one camera may have it for long.
            let of_a_queue_of_its_own = design.capacity() == 0 && design != Design::Rendezvous;
            let least = if of_a_queue_of_its_own { 3 } else { 1 };
            // A machine that is held up for the whole second serves nobody: it then has some attempts.
            let rows = (0..20).map(|_| small(design));
            let mut rows = rows.skip_while(|row| row.cameras_served < least);
            let row = rows.next().expect("every camera is served");
            assert_eq!(row.damaged, 0, "{design}");
            assert!(row.cameras_served <= 3, "{design}: {row:?}");
            assert!(row.results > 0 && row.p50_ns >= 4 * NS_PER_MS, "{design}");
            // Frames that were on their way when the window began or ended.
            let on_their_way = (design.capacity() + 2 * 3 + 2) as u64;
            let ended = row.results + row.lost_in_source + row.evicted;
            assert!(row.due.abs_diff(ended) <= on_their_way, "{design}: {row:?}");
        }
    }

    #[test]
    fn settings_that_cannot_be_measured_are_refused() {
        for settings in [
            Settings {
                cameras: 0,
                ..Settings::default()
            },
            Settings {
                cameras: 65,
                ..Settings::default()
            },
            Settings {
                seconds: 0,
                ..Settings::default()
            },
            Settings {
                frame_bytes: 8,
                ..Settings::default()
            },
        ] {
            assert!(matches!(
                run(&settings, |_| ()),
                Err(BenchError::Setting(_))
            ));
        }
    }

    #[test]
    fn every_design_is_found_by_its_name() {
        for design in Design::ALL {
            assert_eq!(Design::from_name(design.name()), Some(design));
        }
        assert_eq!(Design::from_name("nothing"), None);
    }

    #[test]
    fn a_model_is_run_for_each_frame() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let path = root.join(".cache/models/face_detection_short_range.tflite");
        let settings = Settings {
            cameras: 2,
            frame_bytes: 64,
            service_ns: service::alone_ns(&path).unwrap(),
            seconds: 1,
            designs: vec![Design::Ring],
            model: Some(path.clone()),
            ..Settings::default()
        };
        assert!(settings.service_ns > 0);
        let report = run(&settings, |_| ()).unwrap();
        assert!(report.to_string().contains(path.to_str().unwrap()));
    }
}
