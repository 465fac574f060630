//! Cascades of models with fixed outputs: what they look into, what becomes of their failures, and when the slot goes back.

use super::{Boxes, CascadeAccount, CascadeStep, HeldPicture, Round, run_cascade};
use crate::appliance::shared::in_flight::InFlight;
use crate::appliance::shared::invoke_deadline::InvokeDeadline;
use crate::appliance::shared::messages::{InferenceError, Note};
use crate::appliance::shared::progress::ThreadProgress;
use crate::appliance::threads::inference::description::ResultOutbox;
use crate::appliance::threads::inference::model::Model;
use crate::frame::{Colour, FrameMeta, PixelFormat, SlotTable, StreamFormat};
use crate::infer::{Engine, EngineError, FixedEngine, TensorInfo, TensorType};
use crate::postprocess::{Decoder, Detection, Detections, Settings};
use crate::preprocess::{Plan, Preparation};
use crate::profile::{self, Fit, Resample};
use crate::record::FrameResult;
use crate::ring::{LaneView, TapNeed, lane};
use crate::sys::malloc_guard;

const FORMAT: StreamFormat = StreamFormat {
    pixel: PixelFormat::Grey,
    width_px: 64,
    height_px: 48,
    stride_bytes: 64,
    size_bytes: 64 * 48,
    colour: Colour {
        encoding: crate::frame::Encoding::Bt601,
        quantization: crate::frame::Quantization::Full,
    },
    interval_ns: 0,
};

/// A model that says "yes" of every picture, and notes how many slots are held while it runs.
struct Yes {
    fixed: FixedEngine,
    lane: Option<LaneView>,
    held: Vec<u32>,
}

impl Engine for Yes {
    fn input(&self) -> &TensorInfo {
        self.fixed.input()
    }
    fn outputs(&self) -> &[TensorInfo] {
        self.fixed.outputs()
    }
    fn input_bytes(&mut self) -> &mut [u8] {
        self.fixed.input_bytes()
    }
    fn invoke(&mut self) -> Result<(), EngineError> {
        self.held
            .extend(self.lane.as_ref().map(|lane| lane.live(0)));
        self.fixed.invoke()
    }
    fn output_bytes(&self, index: usize) -> &[u8] {
        self.fixed.output_bytes(index)
    }
}

fn step(
    boxes: Option<Boxes>,
    failing_every: u64,
    lane: Option<LaneView>,
) -> (CascadeStep<Yes>, Plan) {
    let tensor = |shape: &[usize]| TensorInfo {
        name: "t".into(),
        shape: shape.to_vec(),
        kind: TensorType::F32,
        scale: 0.0,
        zero_point: 0,
    };
    let scores: Vec<u8> = [0.75_f32, 0.25]
        .iter()
        .flat_map(|score| score.to_ne_bytes())
        .collect();
    let fixed = FixedEngine::new(tensor(&[1, 8, 8, 1]), vec![(tensor(&[1, 2]), scores)])
        .unwrap()
        .failing_every(failing_every);
    let settings = Settings::new(profile::Decoder::Classify, 2);
    let preparation = Preparation {
        fit: Fit::Stretch,
        resample: Resample::Bilinear,
        channels: profile::Channels::Rgb,
        range: profile::InputRange::One([0.0, 1.0]),
        view: profile::View::default(),
    };
    let plan = Plan::movable(&FORMAT, fixed.input(), &preparation).unwrap();
    let model = CascadeStep {
        model: Model {
            place: 7,
            decoder: Decoder::new(&settings, fixed.input(), fixed.outputs()).unwrap(),
            engine: Yes {
                fixed,
                lane,
                held: Vec::new(),
            },
            values_refused: 0,
        },
        boxes,
        has_places: false,
        iou_threshold: 1.0,
        account: CascadeAccount::default(),
        found: Detections::new(),
        result: FrameResult::default(),
    };
    (model, plan)
}

fn into(source: usize, classes: &[u16], most: usize) -> Boxes {
    Boxes {
        source,
        classes: classes.to_vec(),
        margin: 0.0,
        most,
    }
}

/// Boxes of 8 x 8 pixels side by side, of these classes.
fn first(classes: &[u16]) -> FrameResult {
    let mut first = FrameResult {
        camera: 3,
        worker: 2,
        sequence: 11,
        ..FrameResult::default()
    };
    for (&class, index) in classes.iter().zip(0_u8..) {
        let seen = Detection {
            class,
            score: 0.9,
            x_px: 8.0 * f32::from(index),
            width_px: 8.0,
            height_px: 8.0,
            ..Detection::default()
        };
        first.detections.push(seen).unwrap();
    }
    first
}

/// What came of one turn: the result's detections as box and left edge, or the failure.
type Came = Result<Vec<(u16, f32)>, InferenceError>;

fn run(
    all: Vec<(CascadeStep<Yes>, Plan)>,
    first: &FrameResult,
    held: HeldPicture<'_>,
) -> (Vec<CascadeStep<Yes>>, Vec<Came>) {
    let hot = malloc_guard::register_hot().unwrap();
    let deadline = InvokeDeadline::default();
    let round = Round {
        first,
        deadline: &deadline,
        progress: &ThreadProgress::default(),
        hot: &hot,
    };
    let (mut steps, mut plans): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let (mut outbox, mut results, mut notes) = ResultOutbox::new(16);
    run_cascade(&mut steps, &mut plans, held, &round, &mut outbox);
    let mut came: Vec<Option<Came>> = steps.iter().map(|_| None).collect();
    while let Some(result) = results.dequeue() {
        assert_eq!((result.camera, result.worker, result.sequence), (3, 2, 11));
        let seen = result.detections.iter();
        let seen = seen.map(|seen| (seen.within, seen.x_px)).collect();
        let before = came[usize::from(result.step) - 1].replace(Ok(seen));
        assert!(before.is_none(), "one result of each model");
    }
    while let Some(note) = notes.dequeue() {
        let Note::NoResult { of, error } = note else {
            panic!("neither late nor refused");
        };
        assert_eq!((of.camera, of.worker), (3, 2));
        let before = came[usize::from(of.step) - 1].replace(Err(error));
        assert!(before.is_none(), "no result, and one note");
    }
    let came = came.into_iter().map(|came| came.expect("each has run"));
    (steps, came.collect())
}

#[test]
fn the_strongest_boxes_of_the_classes_asked_for_are_looked_into_and_the_others_counted() {
    let picture = vec![0; 64 * 48];
    let all = vec![
        step(Some(into(0, &[1], 2)), 0, None),
        step(Some(into(0, &[], 16)), 0, None),
    ];
    let first = first(&[0, 1, 1, 0, 1, 1]);
    let (models, came) = run(all, &first, HeldPicture::Decoded(&picture));
    assert_eq!(came[0], Ok(vec![(2, 8.0), (3, 16.0)]));
    let account = &models[0].account;
    assert_eq!((account.boxes, account.left_out, account.frames), (2, 2, 1));
    let every =
        [1, 2, 3, 4, 5, 6].map(|number: u8| (u16::from(number), 8.0 * f32::from(number - 1)));
    assert_eq!(came[1], Ok(every.to_vec()));
    assert_eq!(
        (models[1].account.boxes, models[1].account.left_out),
        (6, 0)
    );
    assert_eq!(models[1].account.invoke.summary().count, 6);
}

#[test]
fn a_box_beside_the_picture_is_not_looked_into_and_counted() {
    let picture = vec![0; 64 * 48];
    let mut first = first(&[0, 0, 0]);
    first.detections[0].x_px = -20.0;
    first.detections[1].width_px = f32::NAN;
    let all = vec![step(Some(into(0, &[], 4)), 0, None)];
    let (models, came) = run(all, &first, HeldPicture::Decoded(&picture));
    assert_eq!(came, [Ok(vec![(3, 16.0)])]);
    assert_eq!((models[0].account.boxes, models[0].account.unseen), (1, 2));
}

#[test]
fn one_that_fails_gives_no_result_and_no_boxes_and_the_others_have_their_turns() {
    let picture = vec![0; 64 * 48];
    let all = vec![
        // The second of its three boxes.
        step(Some(into(0, &[], 4)), 2, None),
        step(Some(into(1, &[], 4)), 0, None),
        step(None, 0, None),
    ];
    let (models, came) = run(all, &first(&[0, 0, 0]), HeldPicture::Decoded(&picture));
    let failed = InferenceError::Engine(EngineError::Invoke);
    assert_eq!(came, [Err(failed), Ok(vec![]), Ok(vec![(0, 0.0)])]);
    let of = |index: usize| (models[index].account.frames, models[index].account.failed);
    assert_eq!([of(0), of(1), of(2)], [(0, 1), (1, 0), (1, 0)]);
    assert_eq!(models[1].account.boxes, 0);
}

#[test]
fn what_is_found_in_a_box_may_be_looked_into() {
    let picture = vec![0; 64 * 48];
    let all = vec![
        step(Some(into(0, &[1], 4)), 0, None),
        step(Some(into(1, &[], 4)), 0, None),
    ];
    let (_, came) = run(all, &first(&[0, 1]), HeldPicture::Decoded(&picture));
    // The first one's only detection is where the second box is.
    assert_eq!(came, [Ok(vec![(2, 8.0)]), Ok(vec![(1, 8.0)])]);
}

/// Slots that are held while each model runs, and after all.
fn held_during(first: &FrameResult, chain: &[Option<Boxes>]) -> (Vec<Vec<u32>>, u64) {
    let need = TapNeed {
        capacity: 1,
        readers: 1,
        leases: 1,
    };
    let (mut producer, taps) = lane(3, SlotTable::on_heap(4, 64 * 48), 2, &[need]).unwrap();
    let slot = producer.take_free().unwrap();
    let meta = FrameMeta {
        bytes_used: 64 * 48,
        ..FrameMeta::of(&FORMAT).unwrap()
    };
    let filled = producer.fill(slot, &meta).unwrap();
    producer.publish(filled);
    let lease = taps[0].claim_newest(|_| {}).unwrap().unwrap();
    let in_flight = InFlight::default();
    let held = HeldPicture::Slot(in_flight.hold(lease));
    let models = chain
        .iter()
        .map(|boxes| step(boxes.clone(), 0, Some(producer.view())));
    let (models, came) = run(models.collect(), first, held);
    assert!(came.iter().all(Result::is_ok), "{came:?}");
    assert_eq!(producer.view().live(0), 0, "it has gone back");
    (
        models
            .into_iter()
            .map(|step| step.model.engine.held)
            .collect(),
        in_flight.of(0),
    )
}

#[test]
fn the_slot_goes_back_before_the_last_inference_that_wants_a_part_of_the_picture() {
    let boxes = |source| Some(into(source, &[], 4));
    let three = first(&[0, 0, 0]);
    let (held, released) = held_during(&three, &[boxes(0)]);
    assert_eq!((held, released), (vec![vec![1, 1, 0]], 1));
    let (held, _) = held_during(&three, &[boxes(0), None, boxes(0), None]);
    assert_eq!(held, [vec![1; 3], vec![1], vec![1, 1, 0], vec![0]]);
    // Nobody has found anything to look into.
    let (held, _) = held_during(&first(&[]), &[None, boxes(0)]);
    assert_eq!(held, [vec![0], vec![]]);
    // What looks into the boxes of another waits for it.
    let (held, _) = held_during(&first(&[0]), &[None, boxes(1)]);
    assert_eq!(held, [vec![1], vec![0]]);
}
