//! One contract, kept by every engine: TensorFlow Lite with XNNPACK, with its own kernels, with a delegate out
//! of a shared library, and fixed outputs. Then what becomes of delegates that fail.
//!
//! The test's plugin knows one mode at a time: its tests run one after the other.

mod plugin;

use pinsight::infer::{Engine, FixedEngine, TensorInfo, outputs_of};
use pinsight::profile::{Delegate, OnFailure, Plugin};
use pinsight::sys::tflite::{
    ModelError, ModelFault, ModelFile, PluginFault, Settings, TfliteEngine,
};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

#[track_caller]
fn model() -> (PathBuf, [u8; 32]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/models/face_detection_short_range.tflite");
    assert!(
        path.exists(),
        "{} is missing: `make setup` fetches it",
        path.display()
    );
    let sha256 = Sha256::digest(std::fs::read(&path).unwrap()).into();
    (path, sha256)
}

fn with(delegate: Delegate) -> Settings {
    Settings {
        threads: 1,
        delegate,
    }
}

fn plugged(path: &Path, options: &[(&str, &str)]) -> Delegate {
    let option = |(key, value): &(&str, &str)| (String::from(*key), String::from(*value));
    let sha256 = std::fs::read(path).map_or([0; 32], |bytes| Sha256::digest(bytes).into());
    Delegate::Plugin(Plugin {
        path: path.to_owned(),
        sha256,
        options: options.iter().map(option).collect(),
    })
}

fn build(delegate: Delegate) -> Result<TfliteEngine, ModelError> {
    let (path, sha256) = model();
    TfliteEngine::build(ModelFile::read(&path, &sha256).unwrap(), with(delegate))
}

/// What the rest of the program relies on.
fn keeps_the_contract(name: &str, engine: &mut dyn Engine) {
    let input = engine.input().clone();
    assert!(matches!(input.shape[..], [1, _, _, 3]), "{name}: {input}");
    assert_eq!(engine.input_bytes().len(), input.bytes(), "{name}");
    let infos: Vec<TensorInfo> = engine.outputs().to_vec();
    assert!(!infos.is_empty(), "{name}");
    let pattern: Vec<u8> = [0.25_f32, -0.5, 1.0]
        .iter()
        .flat_map(|v| v.to_ne_bytes())
        .collect();
    for chunk in engine.input_bytes().chunks_mut(pattern.len()) {
        chunk.copy_from_slice(&pattern[..chunk.len()]);
    }
    let written = engine.input_bytes().to_vec();
    let mut first: Vec<Vec<u8>> = vec![];
    let places = |engine: &dyn Engine| -> Vec<usize> {
        (0..infos.len())
            .map(|index| engine.output_bytes(index).as_ptr().addr())
            .collect()
    };
    let before = places(engine);
    for round in 0..4 {
        engine
            .invoke()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            engine.input_bytes(),
            written,
            "{name}: the input keeps what was written to it"
        );
        let outputs: Vec<Vec<u8>> = outputs_of(engine)
            .iter()
            .map(|bytes| bytes.to_vec())
            .collect();
        for (bytes, info) in outputs.iter().zip(&infos) {
            assert_eq!(bytes.len(), info.bytes(), "{name}: {info}");
        }
        if round == 0 {
            first = outputs;
        } else {
            assert_eq!(
                first, outputs,
                "{name}: the same input gives the same outputs"
            );
        }
    }
    assert_eq!(before, places(engine), "{name}: outputs keep their places");
    assert!(
        engine.output_bytes(infos.len()).is_empty(),
        "{name}: beyond the last output is nothing"
    );
    assert_eq!(engine.outputs(), infos, "{name}");
}

#[test]
fn every_engine_keeps_the_contract() {
    let _alone = alone();
    let plugin = plugin::compile();
    let mut kept = 0;
    for (name, delegate) in [
        ("xnnpack", Delegate::Xnnpack),
        ("none", Delegate::None),
        (
            "plugin",
            plugged(&plugin.path, &[("mode", "take"), ("value", "0.5")]),
        ),
    ] {
        keeps_the_contract(name, &mut build(delegate).unwrap());
        kept += 1;
    }
    let like = build(Delegate::Xnnpack).unwrap();
    let outputs = like
        .outputs()
        .iter()
        .map(|info| (info.clone(), vec![7; info.bytes()]));
    let mut fixed = FixedEngine::new(like.input().clone(), outputs.collect()).unwrap();
    keeps_the_contract("fixed", &mut fixed);
    assert_eq!(kept, 3);
}

#[test]
fn a_plugin_runs_the_graph_with_the_options_of_the_profile() {
    let _alone = alone();
    let plugin = plugin::compile();
    let mut engine = build(plugged(&plugin.path, &[("mode", "take"), ("value", "2.5")])).unwrap();
    assert_eq!(engine.graph().to_string(), "1 part by TestPlugin");
    assert!(engine.graph().is_wholly_delegated());
    engine.invoke().unwrap();
    for output in outputs_of(&engine) {
        assert!(
            output
                .as_chunks()
                .0
                .iter()
                .all(|&value| value == 2.5_f32.to_ne_bytes())
        );
    }
}

#[test]
fn plugins_can_be_loaded_and_dropped_many_times() {
    let _alone = alone();
    let plugin = plugin::compile();
    for _ in 0..20 {
        let mut engine = build(plugged(&plugin.path, &[("mode", "take")])).unwrap();
        engine.invoke().unwrap();
    }
}

#[test]
fn a_plugin_that_fails_is_refused_with_its_reason() {
    let _alone = alone();
    let plugin = plugin::compile();
    let reason = |options: &[(&str, &str)]| {
        build(plugged(&plugin.path, options))
            .unwrap_err()
            .fault
            .to_string()
    };
    let place = plugin.path.display();
    assert_eq!(
        reason(&[("mode", "fail-create")]),
        format!("delegate {place} makes no delegate: its device is not there")
    );
    assert!(reason(&[("mode", "fail-silent")]).contains("does not say why"));
    assert!(reason(&[("speed", "9")]).ends_with("an option that it does not know"));
    let nothing = reason(&[("mode", "nothing")]);
    assert!(nothing.contains("takes none of the graph's"), "{nothing}");
    for mode in ["fail-prepare", "fail-kernel"] {
        let reason = reason(&[("mode", mode)]);
        assert!(
            reason.contains(&format!("delegate \"{place}\"")),
            "{mode}: {reason}"
        );
    }
    let reason = reason(&[("mode", "fail-invoke")]);
    assert!(
        reason.starts_with("the first inference fails with delegate"),
        "{reason}"
    );
}

#[test]
fn a_file_that_is_no_plugin_is_refused_with_what_was_found() {
    let missing = build(plugged(Path::new("/nowhere/libnpu.so"), &[])).unwrap_err();
    let ModelFault::Plugin {
        fault: PluginFault::Load(reason),
        ..
    } = &missing.fault
    else {
        panic!("{missing}")
    };
    assert!(reason.contains("No such file"), "{reason}");
    // A library, and none of a delegate's.
    let library = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/tflite")
        .join(std::env::consts::ARCH)
        .join("libtensorflowlite_c.so");
    let other = build(plugged(&library, &[])).unwrap_err();
    assert!(
        other
            .to_string()
            .contains("exports no function tflite_plugin_create_delegate"),
        "{other}"
    );
}

#[test]
fn a_plugin_that_is_another_file_is_not_loaded_and_no_other_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody could load it: that it is no library is not what it is refused for.
    let path = folder.path().join("libplanted.so");
    std::fs::write(&path, "planted").unwrap();
    let Delegate::Plugin(mut named) = plugged(&path, &[]) else {
        unreachable!()
    };
    named.sha256[31] ^= 1;
    let delegate = Delegate::Plugin(named);
    let (model, sha256) = model();
    for on_failure in [OnFailure::Refuse, OnFailure::Builtin] {
        let settings = with(delegate.clone());
        let made = TfliteEngine::build_or_replace(&model, &sha256, settings, on_failure);
        let said = made.unwrap_err().to_string();
        assert!(said.contains("libplanted.so found sha256 "), "{said}");
        assert!(said.contains("set the delegate's `sha256`"), "{said}");
    }
}

#[test]
fn a_failed_delegate_is_replaced_only_where_the_profile_allows_it() {
    let _alone = alone();
    let plugin = plugin::compile();
    let (path, sha256) = model();
    let ask = |mode: &str, on_failure| {
        let settings = with(plugged(&plugin.path, &[("mode", mode)]));
        TfliteEngine::build_or_replace(&path, &sha256, settings, on_failure)
    };
    let mut replaced = 0;
    for mode in [
        "nothing",
        "fail-create",
        "fail-prepare",
        "fail-kernel",
        "fail-invoke",
    ] {
        assert!(ask(mode, OnFailure::Refuse).is_err(), "{mode}");
        let (mut engine, reason) = ask(mode, OnFailure::Builtin).unwrap();
        assert!(reason.is_some(), "{mode}: the reason is kept");
        assert_eq!(engine.graph().delegated(), 0, "{mode}");
        keeps_the_contract(mode, &mut engine);
        replaced += 1;
    }
    assert_eq!(replaced, 5);
    let (engine, reason) = ask("take", OnFailure::Builtin).unwrap();
    assert!(reason.is_none() && engine.graph().is_wholly_delegated());
    let settings = with(plugged(&plugin.path, &[("mode", "nothing")]));
    let other = TfliteEngine::build_or_replace(&path, &[0; 32], settings, OnFailure::Builtin);
    assert!(
        matches!(other.unwrap_err().fault, ModelFault::Checksum { .. }),
        "another file is no matter of the delegate's"
    );
}
