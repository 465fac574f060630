//! `pinsight bench`: the claims of the design, measured on this machine.

use crate::appliance::{Exit, Failure};
use crate::bench::{
    BenchError, Report, channel, header, leak, numa, preprocess, queue, sharing, stages,
};
use clap::{Args, Subcommand};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

/// Arguments of `pinsight bench`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
    /// Write the figures as JSON, to standard output in the table's place where no FILE or - is given
    #[arg(long, value_name = "FILE", global = true, num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write a plot
    #[arg(long, value_name = "FILE", global = true)]
    svg: Option<PathBuf>,
}

impl Arguments {
    /// The file of figures, if they go to one.
    fn json_file(&self) -> Option<&PathBuf> {
        self.json.as_ref().filter(|path| path.as_os_str() != "-")
    }
}

#[derive(Debug, Subcommand)]
enum Experiment {
    /// How old is a result when cameras are faster than the model? Channels, a queue and the ring
    Queue(QueueArguments),
    /// What does a channel's capacity cost in time, sleeps and context switches?
    Channel(ChannelArguments),
    /// What does it cost when two cores write to one cache line?
    Sharing(SharingArguments),
    /// What do headers and slots save, beside copies and heap blocks?
    Header(HeaderArguments),
    /// What do frames that are never given back do to the heap, and to us?
    Leak(LeakArguments),
    /// What does memory of another node cost?
    Numa(NumaArguments),
    /// Where do three stages in a row wait, pinned and unpinned?
    Stages(StagesArguments),
    /// What does a tensor cost, from camera buffer to the last element, beside moving its bytes?
    Preprocess(PreprocessArguments),
}

#[derive(Debug, Args)]
struct QueueArguments {
    /// Cameras, 1 to 64
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    cameras: u64,
    /// Frames a second of each camera
    #[arg(long, default_value_t = 30.0)]
    fps: f64,
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = 1920 * 1080 * 3 / 2)]
    frame_bytes: usize,
    /// Milliseconds that the consumer sleeps for each frame, in place of a model
    #[arg(long, default_value_t = 28.57)]
    service_ms: f64,
    /// A TensorFlow Lite model that the consumer runs for each frame instead, on XNNPACK
    #[arg(long, value_name = "FILE.tflite", conflicts_with = "service_ms")]
    model: Option<PathBuf>,
    /// Measured seconds of each design
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Designs, in this order
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = design)]
    designs: Vec<queue::Design>,
}

#[derive(Debug, Args)]
struct ChannelArguments {
    /// Values through each design
    #[arg(long, default_value_t = 1_000_000)]
    values: u64,
    /// The channels' capacities
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [0, 64, 1024])]
    capacities: Vec<usize>,
}

#[derive(Debug, Args)]
struct SharingArguments {
    /// Increments of each thread, and values through the queue
    #[arg(long, default_value_t = sharing::Settings::default().operations)]
    operations: u64,
}

#[derive(Debug, Args)]
struct HeaderArguments {
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = header::Settings::default().frame_bytes)]
    frame_bytes: u32,
    /// Frames of the mixed run
    #[arg(long, default_value_t = header::Settings::default().frames)]
    frames: u64,
}

#[derive(Debug, Args)]
struct LeakArguments {
    /// Frames
    #[arg(long, default_value_t = leak::Settings::default().frames)]
    frames: u64,
    /// One of so many is lost
    #[arg(long, default_value_t = leak::Settings::default().leak_every)]
    leak_every: u64,
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = leak::Settings::default().frame_bytes)]
    frame_bytes: u32,
    /// Slots of the lane
    #[arg(long, default_value_t = leak::Settings::default().slots)]
    slots: u16,
}

#[derive(Debug, Args)]
struct NumaArguments {
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = numa::Settings::default().frame_bytes)]
    frame_bytes: u32,
    /// Times that all slots are read
    #[arg(long, default_value_t = numa::Settings::default().rounds)]
    rounds: u32,
}

#[derive(Debug, Args)]
struct StagesArguments {
    /// Frames a second
    #[arg(long, default_value_t = stages::Settings::default().fps)]
    fps: u32,
    /// Microseconds of work for a frame in each of the three stages
    #[arg(long, value_name = "A,B,C", num_args = 1, value_parser = three, default_value = "2000,5000,10000")]
    work_us: [u64; 3],
    /// Measured seconds of each design
    #[arg(long, default_value_t = stages::Settings::default().seconds)]
    seconds: u32,
}

#[derive(Debug, Args)]
struct PreprocessArguments {
    /// Passes of each case; the median counts
    #[arg(long, default_value_t = preprocess::Settings::default().passes)]
    passes: usize,
}

fn three(list: &str) -> Result<[u64; 3], String> {
    let numbers: Vec<u64> = list
        .split(',')
        .map(|number| {
            number
                .trim()
                .parse()
                .map_err(|error| format!("{number}: {error}"))
        })
        .collect::<Result<_, _>>()?;
    let bounded = numbers.iter().all(|&number| number <= 1_000_000);
    numbers
        .try_into()
        .ok()
        .filter(|_| bounded)
        .ok_or_else(|| "expected three numbers of microseconds, each at most a million".to_owned())
}

fn design(name: &str) -> Result<queue::Design, String> {
    queue::Design::from_name(name).ok_or_else(|| {
        let names: Vec<_> = queue::Design::ALL
            .iter()
            .map(|design| design.name())
            .collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Nanoseconds of a time that an argument gives in units of `unit_ns`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked: above 0, at most an hour"
)]
fn time_ns(name: &str, value: f64, unit_ns: f64) -> Result<u64, Failure> {
    let ns = value * unit_ns;
    if (1e3..=3.6e12).contains(&ns) {
        Ok(ns as u64)
    } else {
        Err(Failure::new(
            Exit::Usage,
            format!("--{name} {value}: expected 1 us to 1 hour"),
        ))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    for path in arguments.json_file().into_iter().chain(&arguments.svg) {
        // A file that cannot be written is known before minutes of measuring.
        std::fs::File::create(path)
            .map_err(|error| Failure::new(Exit::Storage, format!("{}: {error}", path.display())))?;
    }
    let progress = |what: &str| {
        let mut terminal = std::io::stderr().lock();
        if terminal.is_terminal() {
            let _ = writeln!(terminal, "measuring {what}");
        }
    };
    let report = measure(&arguments.experiment, progress)?;
    if arguments.json.is_some() && arguments.json_file().is_none() {
        super::print::print(&format!("{:#}\n", report.json()))?;
    } else {
        super::print::print(&report)?;
    }
    write(arguments, &report)
}

fn measure(experiment: &Experiment, progress: impl FnMut(&str) + Send) -> Result<Report, Failure> {
    let report = match experiment {
        Experiment::Queue(arguments) => queue::run(&arguments.settings()?, progress),
        Experiment::Channel(arguments) => {
            let settings = channel::Settings {
                values: arguments.values,
                capacities: arguments.capacities.clone(),
            };
            channel::run(&settings, progress)
        }
        Experiment::Sharing(arguments) => {
            let settings = sharing::Settings {
                operations: arguments.operations,
            };
            sharing::run(&settings, progress)
        }
        Experiment::Header(arguments) => {
            let settings = header::Settings {
                frame_bytes: arguments.frame_bytes,
                frames: arguments.frames,
            };
            header::run(&settings, progress)
        }
        Experiment::Leak(arguments) => {
            let settings = leak::Settings {
                frames: arguments.frames,
                leak_every: arguments.leak_every,
                frame_bytes: arguments.frame_bytes,
                slots: arguments.slots,
            };
            leak::run(&settings, progress)
        }
        Experiment::Numa(arguments) => {
            let settings = numa::Settings {
                frame_bytes: arguments.frame_bytes,
                rounds: arguments.rounds,
            };
            numa::run(&settings, progress)
        }
        Experiment::Stages(arguments) => {
            let settings = stages::Settings {
                fps: arguments.fps,
                work_us: arguments.work_us,
                seconds: arguments.seconds,
            };
            stages::run(&settings, progress)
        }
        Experiment::Preprocess(arguments) => {
            let settings = preprocess::Settings {
                passes: arguments.passes,
            };
            preprocess::run(&settings, progress)
        }
    };
    report.map_err(failure)
}

fn write(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    if let Some(path) = arguments.json_file() {
        std::fs::write(path, format!("{:#}\n", report.json()))
            .map_err(|error| Failure::new(Exit::Storage, format!("{}: {error}", path.display())))?;
    }
    if let Some(path) = &arguments.svg {
        report.write_svg(path).map_err(failure)?;
    }
    Ok(())
}

fn failure(error: BenchError) -> Failure {
    let exit = match error {
        BenchError::Setting(_) => Exit::Usage,
        BenchError::Machine(_) => Exit::Machine,
        BenchError::File { .. } => Exit::Storage,
    };
    Failure::new(exit, error)
}

impl QueueArguments {
    fn settings(&self) -> Result<queue::Settings, Failure> {
        Ok(queue::Settings {
            cameras: usize::try_from(self.cameras).unwrap_or(usize::MAX),
            interval_ns: time_ns("fps", self.fps.recip(), 1e9)?,
            frame_bytes: self.frame_bytes,
            service_ns: time_ns("service-ms", self.service_ms, 1e6)?,
            model: self.model.clone(),
            seconds: self.seconds,
            designs: if self.designs.is_empty() {
                queue::Design::ALL.to_vec()
            } else {
                self.designs.clone()
            },
        })
    }
}
