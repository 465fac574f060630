//! `pinsight check`: outputs and models looked at, without a run.

use crate::appliance::exit::Failure;
use crate::appliance::prepare::jpeg::asked_for;
use crate::appliance::prepare::model::{LoadedModel, plan_of, samples};
use crate::appliance::threads::output::output::{refusal, serial_port};
use crate::infer::Engine as _;
use crate::jpeg::Jpeg;
use crate::profile::{self, Board, Delivery, Output};
use crate::sys::device::gpio::GpioPort;

/// What was found where an output's device, or a model, should be.
#[derive(Clone, Debug)]
pub struct Found {
    /// The device or the model, in words.
    pub what: String,
    /// What will not do, though it does not refuse the board.
    pub warnings: Vec<String>,
}

/// Looks at the device of an output, and neither switches nor sends.
///
/// # Errors
/// The device may not be used, or is in use. One that is not there is a warning: a run waits for it.
pub fn check_output(output: &Output) -> Result<Found, Failure> {
    let refuse = |error: &dyn std::fmt::Display| refusal(&output.name, error);
    let (Delivery::Gpio { device, .. } | Delivery::Serial { device, .. }) = &output.delivery;
    if !device.exists() {
        let device = device.display();
        return Ok(Found {
            what: format!("{device} is not there"),
            warnings: vec![format!(
                "output {}: a run starts without {device}, and its events are lost until it comes",
                output.name
            )],
        });
    }
    match &output.delivery {
        Delivery::Gpio {
            device,
            gpio_line,
            active_low,
            ..
        } => {
            let port = GpioPort::new(device.clone(), *gpio_line, *active_low);
            Ok(Found {
                what: port.describe().map_err(|error| refuse(&error))?,
                warnings: Vec::new(),
            })
        }
        Delivery::Serial { device, rate_baud } => {
            let port = serial_port(&output.name, device, *rate_baud)?;
            let holders = port.look().map_err(|errno| refuse(&port.explain(errno)))?;
            let warning = (!holders.is_empty()).then(|| {
                format!(
                    "output {}: {}: {holders} as well",
                    output.name,
                    device.display()
                )
            });
            Ok(Found {
                what: format!("serial line {} at {rate_baud} baud", device.display()),
                warnings: warning.into_iter().collect(),
            })
        }
    }
}

/// Makes a model as arming does, with a plan for each camera that it sees, and drops it again. A model that no
/// worker runs is not looked at, as it is not when the board runs.
///
/// # Errors
/// What arming would refuse it for, in the same words.
pub fn check_model(board: &Board, model: &profile::Model) -> Result<Found, Failure> {
    let runs = |worker: &&profile::Worker| worker.models().any(|name| name == model.name);
    let workers: Vec<_> = board.workers.iter().filter(runs).collect();
    if workers.is_empty() {
        return Ok(Found {
            what: "no worker runs it, and it was not looked at".into(),
            warnings: Vec::new(),
        });
    }
    let LoadedModel {
        engine,
        decoder,
        less,
    } = LoadedModel::new(model)?;
    let samples = samples(std::iter::once(engine.input()));
    let sees = |camera: &&profile::Camera| workers.iter().any(|w| w.processes(&camera.name));
    for camera in board.cameras.iter().filter(sees) {
        let format = asked_for(camera);
        let jpeg = Jpeg::new(&format, samples);
        let format = jpeg.map_or(format, |jpeg| jpeg.decoded());
        let of = (camera.name.as_str(), camera.view);
        plan_of(engine.input(), model, of, &format)?;
    }
    Ok(Found {
        what: decoder.layout().to_string(),
        warnings: less.into_iter().collect(),
    })
}
