//! The keys of models, and of the workers that run them.

use crate::{SMALL, assert_messages, messages};
use pinsight::profile::{self, Delegate, InputRange};
use std::path::Path;

/// The small profile with one more line for its model.
fn with_model(line: &str) -> String {
    SMALL.replacen("labels = ", &format!("{line}\nlabels = "), 1)
}

#[test]
fn a_delegate_is_a_word_or_a_library_with_options() {
    let digest = "sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
    let line = format!(
        "delegate = {{ plugin = \"lib/npu.so\", {digest}, options = {{ cores = 2, fast = true, mode = \"a b\" }} }}"
    );
    let board = profile::read("boards/b.toml", &with_model(&line)).expect("sound");
    let Delegate::Plugin(plugin) = &board.models[0].delegate else {
        panic!("{:?}", board.models[0].delegate)
    };
    assert_eq!(plugin.path, Path::new("boards/lib/npu.so"));
    assert_eq!(plugin.sha256[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    let mut options = plugin.options.clone();
    options.sort();
    let expected = [("cores", "2"), ("fast", "true"), ("mode", "a b")];
    assert_eq!(
        options,
        expected.map(|(key, value)| (key.into(), value.into()))
    );
    for (line, words) in [
        ("delegate = \"xnnpak\"", "did you mean `xnnpack`?"),
        (
            "delegate = { options = {} }",
            "model.delegate: found a table without `plugin`, expected \"xnnpack\", \"none\" or",
        ),
        (
            "delegate = { plugin = 4 }",
            "found \"plugin\" = 4, expected",
        ),
        (
            "delegate = { plugin = \"a\" }",
            "model.delegate: found a table without `sha256`, expected",
        ),
        (
            "delegate = { plugin = \"a\", sha256 = \"e3b0\" }",
            "found \"sha256\" = \"e3b0\", expected",
        ),
        (
            "delegate = { plugin = \"a\", option = {} }",
            "found \"option\" = a table, expected",
        ),
        (
            "delegate = { plugin = \"a\", options = { x = [] } }",
            "found \"x\" = an empty array, expected",
        ),
        (
            "on-failure = \"ignore\"",
            "expected \"refuse\" or \"builtin\"",
        ),
    ] {
        let found = messages("b.toml", &with_model(line));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}

#[test]
fn an_input_range_is_a_pair_or_one_for_each_of_three_channels() {
    let range = |text: &str| {
        let text = with_model(&format!("input-range = {text}"));
        profile::read("b.toml", &text).map(|board| board.models[0].input_range)
    };
    assert_eq!(range("[0, 255.0]"), Ok(InputRange::One([0.0, 255.0])));
    assert_eq!(
        range("[[-2.118, 2.249], [-2.036, 2.429], [2, -1]]"),
        Ok(InputRange::Each([
            [-2.118, 2.249],
            [-2.036, 2.429],
            [2.0, -1.0]
        ]))
    );
    for (text, found) in [
        ("[0, 0.0]", "[0, 0.0]"),
        ("[0, 1025]", "[0, 1025]"),
        ("[0, 1, 2]", "0"),
        ("[[0, 1], [1, 1], [0, 1]]", "[1, 1]"),
        ("[[0, 1], [0, 1], [0, 1, 2]]", "[0, 1, 2]"),
        ("[[0, 1], [0, 1]]", "[an array of 2, an array of 2]"),
        ("[[0, 1], [0, inf], [0, 1]]", "[0, inf]"),
        ("1", "1"),
    ] {
        let messages = messages("b.toml", &with_model(&format!("input-range = {text}")));
        assert_eq!(messages.len(), 1, "{messages:?}");
        let expected = format!(
            ": model.input-range: found {found}, expected two different numbers (of black, of white), each -1024 \
             to 1024, or such a pair for each of three channels"
        );
        assert!(messages[0].ends_with(&expected), "{messages:?}");
    }
}

#[test]
fn a_class_threshold_is_of_a_label_that_the_model_has() {
    let board =
        profile::read("b.toml", &with_model("class-thresholds = { face = 0.75 }")).expect("sound");
    let [threshold] = &board.models[0].class_thresholds[..] else {
        panic!("{:?}", board.models[0].class_thresholds)
    };
    assert_eq!((threshold.label.as_str(), threshold.score), ("face", 0.75));
    for (line, words) in [
        (
            "class-thresholds = { fase = 0.75 }",
            "model.class-thresholds: found \"fase\", expected one of the model's `labels`; did you mean `face`?",
        ),
        (
            "class-thresholds = { face = 1.5 }",
            "found \"face\" = 1.5, expected a table of labels",
        ),
        (
            "class-thresholds = 0.5",
            "found 0.5, expected a table of labels, each with a number (score), 0 to 1",
        ),
    ] {
        let found = messages("b.toml", &with_model(line));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}

#[test]
fn a_worker_names_the_cameras_that_it_judges_and_none_is_left_to_nobody() {
    let side = SMALL.split("[[model]]").next().unwrap();
    let side = side.split_once("[[camera]]").unwrap().1;
    let side = side.replace("front", "side").replace("video0", "video1");
    let two = SMALL.replacen("[[model]]", &format!("[[camera]]{side}[[model]]"), 1);
    let board = profile::read("b.toml", &two).expect("sound");
    assert!(board.workers[0].processes("front") && board.workers[0].processes("side"));
    let named = format!("{two}cameras = [\"side\"]\n");
    let again = "[[worker]]\nname = \"more\"\ncores = [2]\nmodel = \"face\"\ncameras = [\"front\", \"side\"]\n";
    let board = profile::read("b.toml", &format!("{named}{again}")).expect("sound");
    let judges: Vec<_> = board.cameras.iter().map(|c| board.workers_of(c)).collect();
    assert_eq!(
        (judges, board.workers[0].processes("front")),
        (vec![1, 2], false)
    );
    assert_messages(
        "b.toml",
        &named,
        "b.toml:3: camera.name: found \"front\", whose frames no worker judges, expected a camera that some [[worker]] judges; name it in the `cameras` of a [[worker]], or leave that key out there: then it judges all",
    );
    assert_messages(
        "b.toml",
        &format!("{two}cameras = [\"frant\"]\n"),
        "b.toml:28: worker.cameras: found \"frant\", expected names of [[camera]] tables: \"front\", \"side\"; did you mean `front`?",
    );
    let rule =
        "[[rule]]\nname = \"any\"\nkind = \"presence\"\ncamera = \"front\"\nmodel = \"face\"\n";
    let other = SMALL
        .split("[[model]]")
        .nth(1)
        .unwrap()
        .split("[[worker]]")
        .next()
        .unwrap();
    let other = other.replace("\"face\"", "\"nose\"");
    let elsewhere = again.replace("\"face\"", "\"nose\"");
    assert_messages(
        "b.toml",
        &format!("{named}{elsewhere}[[model]]{other}{rule}"),
        "b.toml:44: rule.model: found \"face\", which judges no frame of camera \"front\", expected a model that a [[worker]] with that camera among its `cameras` runs",
    );
}

#[test]
fn further_models_come_after_those_whose_boxes_they_look_into() {
    let model = |name: &str, more: &str| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"m\"\nsha256 = \"{:064}\"\n{more}\n",
            0
        )
    };
    let ssd = "decoder = \"ssd\"\nlabels = [\"Person\", \"Car\"]";
    let person = model("person", ssd);
    let class = model("class", "decoder = \"classify\"\nlabels = [\"a\"]");
    let within = |name: &str, of: &str| model(name, &format!("{ssd}\nwithin = \"{of}\""));
    let with = |then: &str, models: &str| format!("{SMALL}{then}\n{models}");

    let whole = format!(
        "{}within-classes = [\"Person\"]\nwithin-boxes = 16\nwithin-margin = 0\n",
        within("plate", "person")
    );
    let text = with(
        "then = [\"person\", \"plate\"]",
        &format!("{person}{whole}"),
    );
    let board = profile::read("b.toml", &text).expect("sound");
    let models: Vec<_> = board
        .models_of(&board.workers[0])
        .map(|(at, _)| at)
        .collect();
    assert_eq!(models, [0, 1, 2]);
    let found = board.models[2].within.as_ref().unwrap();
    assert_eq!(
        (&*found.model, found.boxes, found.margin),
        ("person", 16, 0.0)
    );
    assert_eq!(found.classes, ["Person"]);
    let default =
        profile::read("b.toml", &with("then = [\"in\"]", &within("in", "face"))).expect("sound");
    let default = default.models[1].within.clone().unwrap();
    assert_eq!(
        (default.boxes, default.margin, default.classes.len()),
        (4, 0.2, 0)
    );

    for (then, models, expected) in [
        (
            "then = [\"face\"]",
            String::new(),
            "worker.then: found \"face\", expected other models than the worker's `model`, which has judged the frame by then",
        ),
        (
            "then = [\"persn\"]",
            person.clone(),
            "worker.then: found \"persn\", expected the name of a [[model]]: \"face\", \"person\"; did you mean `person`?",
        ),
        (
            "then = [\"plate\", \"person\"]",
            format!("{person}{}", within("plate", "person")),
            "worker.then: found \"plate\", which looks into boxes of \"person\", expected \"person\" before it, as `model` or in `then`",
        ),
        (
            "",
            within("own", "own"),
            "model.within: found \"own\", expected another model, whose boxes it looks into",
        ),
        (
            "",
            within("plate", "persons"),
            "model.within: found \"persons\", expected the name of a [[model]]: \"face\", \"plate\"",
        ),
        (
            "",
            format!("{class}{}", within("plate", "class")),
            "model.within: found \"class\", whose decoder \"classify\" finds no boxes, expected a model whose decoder finds boxes",
        ),
        (
            "",
            format!(
                "{person}{}within-classes = [\"Persn\"]\n",
                within("plate", "person")
            ),
            "model.within-classes: found \"Persn\", expected one of the `labels` of model \"person\"; did you mean `Person`?",
        ),
        (
            "",
            format!("{person}within-boxes = 3\n"),
            "model.within-boxes: found 3, expected no such key: it belongs to `within = \"…\"`",
        ),
        (
            "then = [\"big\"]",
            model("big", &format!("{ssd}\nthreads = 2")),
            "worker.then: found \"big\", whose `threads` are 2, expected models of at most as many threads as the worker has cores, 1",
        ),
    ] {
        let found = messages("b.toml", &with(then, &models));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].ends_with(expected), "{}", found[0]);
    }
    // A circle has no model to begin with.
    let circle = format!("{}{}", within("a", "b"), within("b", "a"));
    let found = messages("b.toml", &with("then = [\"a\", \"b\"]", &circle));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].ends_with(
        "\"a\", which looks into boxes of \"b\", expected \"b\" before it, as `model` or in `then`"
    ));
    let first = SMALL.replace("model = \"face\"\n", "model = \"plate\"\n");
    let found = messages("b.toml", &format!("{first}{}", within("plate", "face")));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].ends_with("worker.model: found \"plate\", which looks into boxes of \"face\", expected a model without `within`, which sees the whole picture; name \"face\" here, and this one in `then`"),
        "{}", found[0]
    );
}
