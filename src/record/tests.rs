//! Recordings: written, cut, spoilt, continued, read back.

use super::layout::HEADER_BYTES;
use super::{
    Drift, FileHeader, HeaderState, Origin, RECORD_BYTES, ReadError, Reading, Recording,
    RecordingError, Summary,
};
use crate::latency::Stamps;
use crate::postprocess::Detection;
use crate::record::FrameResult;
use std::path::Path;

/// This boot, as the tests have it.
const BOOT: u64 = 7;

fn header(capacity: u64) -> FileHeader {
    FileHeader {
        board: "bench".into(),
        version: "0".into(),
        cameras: vec!["front".into()],
        models: vec!["face".into()],
        labels: vec![vec!["face".into()]],
        capacity,
        record_bytes: RECORD_BYTES as u64,
        capture_time: true,
    }
}

fn result(sequence: u64) -> FrameResult {
    let mut result = FrameResult {
        sequence,
        stamps: Stamps {
            capture_ns: 5,
            dequeue_ns: 7,
            result_ns: 90,
            ..Stamps::default()
        },
        ..FrameResult::default()
    };
    let seen = Detection {
        score: 1.0,
        x_px: -3.4,
        y_px: 1e9,
        width_px: f32::NAN,
        ..Detection::default()
    };
    assert!(result.detections.push(seen).is_ok());
    result
}

fn written(capacity: u64, count: u64) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.pins");
    let mut recording = Recording::open(&path, &header(capacity), BOOT).unwrap().0;
    for sequence in 0..count {
        recording
            .append(&result(sequence), 1_000 + sequence)
            .unwrap();
    }
    recording.sync().unwrap();
    (dir, path)
}

/// Numbers of the records, oldest first.
fn numbers(path: &Path) -> Vec<u64> {
    let reading = Reading::open(path).unwrap();
    let records = reading.records();
    records.iter().map(|r| r.number.to_native()).collect()
}

#[test]
fn a_file_that_is_no_recording_or_is_being_written_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("board.toml");
    let path = dir.path().join("r.pins");
    for (foreign, named) in [("board.toml", &profile), ("r.pins.new", &path)] {
        let foreign = dir.path().join(foreign);
        std::fs::write(&foreign, "name = 'door'").unwrap();
        let refused = Recording::open(named, &header(16), BOOT).unwrap_err();
        assert!(
            matches!(&refused, RecordingError::Foreign { path } if *path == foreign),
            "{refused}"
        );
        assert_eq!(std::fs::read(&foreign).unwrap(), b"name = 'door'");
    }
    std::fs::remove_file(dir.path().join("r.pins.new")).unwrap();
    let refused = Recording::open(Path::new("/dev/null"), &header(16), BOOT).unwrap_err();
    assert!(
        matches!(refused, RecordingError::Foreign { .. }),
        "{refused}"
    );

    let (mut first, origin) = Recording::open(&path, &header(16), BOOT).unwrap();
    assert_eq!(origin, Origin::New);
    first.append(&result(0), 0).unwrap();
    let refused = Recording::open(&path, &header(16), BOOT).unwrap_err();
    assert!(matches!(refused, RecordingError::InUse { .. }), "{refused}");
    assert_eq!(numbers(&path), [0]);
}

#[test]
fn the_next_run_goes_on_behind_the_newest_record_and_is_told_apart() {
    let (_dir, path) = written(4, 3);
    for (boot, run, expected) in [(BOOT, 2, vec![0, 1, 2, 3]), (9, 3, vec![1, 2, 3, 4])] {
        let of_another_version = FileHeader {
            version: "9".into(),
            ..header(4)
        };
        let (mut recording, origin) = Recording::open(&path, &of_another_version, boot).unwrap();
        let records = expected[3].min(4);
        let repaired = false;
        assert_eq!(
            origin,
            Origin::Continued {
                records,
                run,
                repaired
            }
        );
        recording.append(&result(7), 0).unwrap();
        assert_eq!(numbers(&path), expected);
    }
    let reading = Reading::open(&path).unwrap();
    let runs: Vec<_> = reading
        .records()
        .iter()
        .map(|record| (record.run.to_native(), record.boot.to_native()))
        .collect();
    assert_eq!(runs, [(1, BOOT), (1, BOOT), (2, BOOT), (3, 9)]);
    assert_eq!(reading.header.version, "0", "who made the file stays");
}

#[test]
fn a_power_cut_at_any_byte_of_a_write_costs_the_next_run_the_cell_being_written_only() {
    const CAPACITY: u64 = 4;
    let (_dir, path) = written(CAPACITY, 6);
    let before = std::fs::read(&path).unwrap();
    let (mut recording, _) = Recording::open(&path, &header(CAPACITY), BOOT).unwrap();
    recording.append(&result(6), 0).unwrap();
    drop(recording);
    let after = std::fs::read(&path).unwrap();
    // Record 6 takes the place of record 2.
    let at = HEADER_BYTES + 2 * RECORD_BYTES;
    let mut torn = 0;
    // What was not written yet is what was there before, or what a dying disk makes of it.
    let spoilt = vec![0xEE; RECORD_BYTES];
    let rests = [&before[at..at + RECORD_BYTES], &spoilt];
    for (cut, rest) in (0..=RECORD_BYTES).flat_map(|cut| rests.map(|rest| (cut, rest))) {
        let mut disk = before.clone();
        disk[at..at + cut].copy_from_slice(&after[at..at + cut]);
        disk[at + cut..at + RECORD_BYTES].copy_from_slice(&rest[cut..]);
        std::fs::write(&path, &disk).unwrap();
        let survived = numbers(&path);
        let (mut recording, origin) = Recording::open(&path, &header(CAPACITY), BOOT).unwrap();
        let next = recording.written();
        recording.append(&result(9), 0).unwrap();
        drop(recording);
        let Origin::Continued { records, .. } = origin else {
            panic!("cut at {cut}: {origin}");
        };
        assert_eq!(records, survived.len() as u64, "cut at {cut}");
        if survived == [2, 3, 4, 5] || survived == [3, 4, 5] {
            assert_eq!(next, 6, "cut at {cut}");
            assert_eq!(numbers(&path), [3, 4, 5, 6], "cut at {cut}");
            torn += u32::from(survived.len() == 3);
        } else {
            assert_eq!(survived, [3, 4, 5, 6], "cut at {cut}");
            assert_eq!(numbers(&path), [4, 5, 6, 7], "cut at {cut}");
        }
    }
    assert!(torn > 100, "most cuts tear the cell");
}

#[test]
fn damage_anywhere_in_the_cells_costs_those_cells_and_no_start() {
    let (_dir, path) = written(8, 13);
    let whole = std::fs::read(&path).unwrap();
    for at in (HEADER_BYTES..whole.len()).step_by(53) {
        let mut disk = whole.clone();
        disk[at] ^= 0x10;
        // The whole disk was not written yet, besides.
        disk.truncate(whole.len() - at % 3 * RECORD_BYTES);
        std::fs::write(&path, &disk).unwrap();
        let survived = numbers(&path);
        assert!(survived.len() >= 5, "damage at {at}: {survived:?}");
        let (mut recording, _) = Recording::open(&path, &header(8), BOOT).unwrap();
        let next = survived.last().unwrap() + 1;
        assert_eq!(recording.written(), next, "damage at {at}");
        recording.append(&result(0), 0).unwrap();
        let mut expected = survived;
        expected.retain(|number| number % 8 != next % 8);
        expected.push(next);
        assert_eq!(numbers(&path), expected, "damage at {at}");
    }
}

#[test]
fn a_cut_while_a_recording_is_made_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.pins");
    let new = dir.path().join("r.pins.new");
    for left in [
        vec![],
        vec![0; 3],
        vec![0; 20_000],
        b"PINSREC2 and the rest was not written".to_vec(),
    ] {
        std::fs::write(&new, &left).unwrap();
        let opened = Recording::open(&path, &header(16), BOOT);
        if left.len() == 3 {
            // Too short to be anything of ours.
            assert!(matches!(opened, Err(RecordingError::Foreign { .. })));
            continue;
        }
        assert_eq!(opened.unwrap().1, Origin::New);
        assert!(!new.exists());
        assert_eq!(Reading::open(&path).unwrap().summary().empty, 16);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_recording_of_something_else_is_moved_aside_and_a_second_one_too() {
    let (dir, path) = written(4, 3);
    let old = dir.path().join("r.pins.old");
    for capacity in [5, 6] {
        let (mut recording, origin) = Recording::open(&path, &header(capacity), BOOT).unwrap();
        let Origin::Anew { old: named, found } = origin else {
            panic!("{origin}");
        };
        assert_eq!(
            (&named, found),
            (&old, "a recording of another board, or of another size")
        );
        assert_eq!(
            Reading::open(&old).unwrap().header.capacity,
            if capacity == 5 { 4 } else { 5 }
        );
        recording.append(&result(8), 0).unwrap();
        assert_eq!(numbers(&path), [0]);
    }
    // A file of an earlier layout is a recording too: both of its headers say so.
    let mut disk = std::fs::read(&path).unwrap();
    let second = disk.len() - HEADER_BYTES;
    disk[7] = b'2';
    disk[second + 7] = b'2';
    disk[HEADER_BYTES..second].fill(0);
    std::fs::write(&path, &disk).unwrap();
    let (_, origin) = Recording::open(&path, &header(6), BOOT).unwrap();
    assert!(matches!(&origin, Origin::Anew { old: named, .. } if *named == old));
    assert_eq!(std::fs::read(&old).unwrap(), disk);
    // What is no recording is not given up for one.
    std::fs::write(&old, "mine").unwrap();
    let refused = Recording::open(&path, &header(4), BOOT).unwrap_err();
    assert!(
        matches!(&refused, RecordingError::Foreign { path } if *path == old),
        "{refused}"
    );
    assert_eq!(Reading::open(&path).unwrap().header.capacity, 6);
    assert_eq!(std::fs::read(&old).unwrap(), b"mine");
}

/// A recording of 4 cells with 6 records, and its bytes.
fn sound() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let (dir, path) = written(4, 6);
    let disk = std::fs::read(&path).unwrap();
    (dir, path, disk)
}

#[test]
fn one_header_that_a_disk_damaged_costs_nothing_and_is_written_anew() {
    let (_dir, path, whole) = sound();
    let second = whole.len() - HEADER_BYTES;
    assert_eq!(whole[..HEADER_BYTES], whole[second..]);
    // A bit in each of its parts, a sector at either end, and all of it.
    let damages = [
        0..1,
        7..8,
        9..10,
        13..14,
        40..41,
        0..512,
        7680..8192,
        0..8192,
    ];
    for (at, damage) in damages
        .iter()
        .flat_map(|damage| [(0, damage), (second, damage)])
    {
        let mut disk = whole.clone();
        for byte in &mut disk[at + damage.start..at + damage.end] {
            *byte ^= 0x10;
        }
        std::fs::write(&path, &disk).unwrap();
        let reading = Reading::open(&path).unwrap();
        let is_rest_of_cell = damage.start == 7680;
        // Behind its JSON, a header cell holds nothing.
        let expected = if is_rest_of_cell {
            HeaderState::Whole
        } else {
            HeaderState::OneDamaged
        };
        assert_eq!(reading.state, expected, "{at} {damage:?}");
        assert_eq!(reading.header.cameras, ["front"]);
        assert_eq!(numbers(&path), [2, 3, 4, 5]);
        let (_, origin) = Recording::open(&path, &header(4), BOOT).unwrap();
        let Origin::Continued {
            records, repaired, ..
        } = origin
        else {
            panic!("{origin}");
        };
        assert_eq!((records, repaired), (4, !is_rest_of_cell));
        if repaired {
            assert!(std::fs::read(&path).unwrap() == whole, "{at} {damage:?}");
        }
    }
}

#[test]
fn without_a_header_the_records_are_read_and_the_file_is_moved_where_it_replaces_nothing() {
    let (dir, path, whole) = sound();
    let second = whole.len() - HEADER_BYTES;
    std::fs::write(dir.path().join("r.pins.old"), "mine").unwrap();
    for (spoilt, aside) in [
        (40, "r.pins.damaged"),
        (0, "r.pins.damaged.1"),
        (7, "r.pins.damaged.2"),
    ] {
        let mut disk = whole.clone();
        disk[spoilt] ^= 1;
        disk[second + spoilt] ^= 1;
        std::fs::write(&path, &disk).unwrap();
        let reading = Reading::open(&path).unwrap();
        let (state, summary) = (reading.state, reading.summary());
        assert_eq!(state, HeaderState::Damaged);
        assert_eq!((summary.valid, summary.damaged), (4, 0));
        assert_eq!(numbers(&path), [2, 3, 4, 5]);
        let (mut recording, origin) = Recording::open(&path, &header(4), BOOT).unwrap();
        let aside = dir.path().join(aside);
        assert!(matches!(&origin, Origin::Anew { old, .. } if *old == aside));
        assert!(std::fs::read(&aside).unwrap() == disk);
        recording.append(&result(0), 0).unwrap();
        assert_eq!(numbers(&path), [0]);
    }
}

#[test]
fn a_recording_with_one_header_is_read_and_gets_its_second_one() {
    let (_dir, path, whole) = sound();
    std::fs::write(&path, &whole[..whole.len() - HEADER_BYTES]).unwrap();
    assert_eq!(Reading::open(&path).unwrap().state, HeaderState::Single);
    assert_eq!(numbers(&path), [2, 3, 4, 5]);
    let (_, origin) = Recording::open(&path, &header(4), BOOT).unwrap();
    assert!(!origin.to_string().contains("damaged"), "{origin}");
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[test]
fn a_recording_that_vanishes_is_replaced_or_cut_short_is_noticed_and_goes_on() {
    let (dir, path) = written(4, 2);
    let (mut recording, _) = Recording::open(&path, &header(4), BOOT).unwrap();
    assert_eq!(recording.drift().unwrap(), None);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len((HEADER_BYTES + RECORD_BYTES) as u64).unwrap();
    assert_eq!(recording.drift().unwrap(), Some(Drift::Truncated));
    recording.mend().unwrap();
    assert_eq!(recording.drift().unwrap(), None);
    recording.append(&result(0), 0).unwrap();
    assert_eq!(numbers(&path), [0, 2]);
    assert_eq!(Reading::open(&path).unwrap().state, HeaderState::Whole);

    std::fs::remove_file(&path).unwrap();
    assert_eq!(recording.drift().unwrap(), Some(Drift::Vanished));
    recording.renew().unwrap();
    recording.append(&result(0), 0).unwrap();
    assert_eq!(numbers(&path), [0]);

    std::fs::rename(&path, dir.path().join("aside")).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert_eq!(recording.drift().unwrap(), Some(Drift::Replaced));
    assert!(recording.renew().is_err());
    recording.append(&result(0), 0).unwrap();
    assert_eq!(numbers(&dir.path().join("aside")), [0, 1]);
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_capacity_of_which_nothing_is_on_the_disk_costs_neither_memory_nor_reading() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.pins");
    let most = u64::from(crate::limits::MAX_RECORDS);
    let cell = super::layout::encode_header(&header(most)).unwrap();
    std::fs::write(&path, cell).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(HEADER_BYTES as u64 + most * RECORD_BYTES as u64)
        .unwrap();
    let expected = Summary {
        empty: most,
        ..Summary::default()
    };
    assert_eq!(Reading::open(&path).unwrap().summary(), expected);
}

#[test]
fn a_recording_that_cannot_be_made_leaves_everything_as_it_was() {
    let (dir, path) = written(4, 2);
    let before = std::fs::read(&path).unwrap();
    let too_large = header(u64::MAX / RECORD_BYTES as u64 / 2 - HEADER_BYTES as u64);
    for name in ["absent.pins", "r.pins"] {
        assert!(Recording::open(&dir.path().join(name), &too_large, BOOT).is_err());
    }
    let left: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["r.pins"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_link_to_a_recording_stays_a_link() {
    let (dir, path) = written(4, 2);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    Recording::open(&link, &header(5), BOOT).unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), path);
    assert_eq!(Reading::open(&link).unwrap().header.capacity, 5);
}

#[test]
fn what_follows_the_cells_is_not_read_and_a_record_in_another_s_cell_is_none() {
    let (_dir, path) = written(4, 2);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // A TiB, of which nothing is on the disk.
    file.set_len(1 << 40).unwrap();
    let (valid, empty) = (2, 2);
    let expected = Summary {
        valid,
        empty,
        damaged: 0,
    };
    assert_eq!(Reading::open(&path).unwrap().summary(), expected);
    let mut cells = vec![0; 4 * RECORD_BYTES];
    let source = std::fs::File::open(&path).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&source, &mut cells, HEADER_BYTES as u64).unwrap();
    std::os::unix::fs::FileExt::write_all_at(
        &file,
        &cells[..RECORD_BYTES],
        (HEADER_BYTES + 3 * RECORD_BYTES) as u64,
    )
    .unwrap();
    assert_eq!(Reading::open(&path).unwrap().summary().damaged, 1);
}

#[test]
fn what_never_ends_is_not_read() {
    let refused = Reading::open(std::path::Path::new("/dev/zero")).unwrap_err();
    assert!(
        matches!(refused, ReadError::NotARecording { .. }),
        "{refused}"
    );
}

#[test]
fn what_was_written_is_read_back_oldest_first() {
    let (_dir, path) = written(16, 5);
    let reading = Reading::open(&path).unwrap();
    let sequences: Vec<u64> = reading
        .records()
        .iter()
        .map(|r| r.sequence.to_native())
        .collect();
    assert_eq!(sequences, [0, 1, 2, 3, 4]);
    assert_eq!(reading.header.cameras, ["front"]);
    let first = reading.records()[0];
    assert_eq!(first.detections_total.to_native(), 1);
    assert_eq!(first.detections[0].score_65535.to_native(), u16::MAX);
    assert_eq!(first.detections[0].x_px.to_native(), -3);
    assert_eq!(first.detections[0].y_px.to_native(), i16::MAX);
    assert_eq!(first.detections[0].width_px.to_native(), 0);
    assert_eq!(first.since_capture_ns[0].to_native(), 2);
}

#[test]
fn the_newest_overwrites_the_oldest_and_the_file_keeps_its_size() {
    let (_dir, path) = written(4, 11);
    let reading = Reading::open(&path).unwrap();
    let sequences: Vec<u64> = reading
        .records()
        .iter()
        .map(|r| r.sequence.to_native())
        .collect();
    assert_eq!(sequences, [7, 8, 9, 10]);
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert_eq!(bytes, (2 * HEADER_BYTES + 4 * RECORD_BYTES) as u64);
}

#[test]
fn a_power_cut_at_any_byte_of_a_cell_costs_that_cell_only() {
    let (_dir, path) = written(4, 3);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = 0;
    for cut in 0..RECORD_BYTES {
        let mut torn = whole.clone();
        let at = HEADER_BYTES + RECORD_BYTES;
        torn[at + cut..at + RECORD_BYTES].fill(0xEE);
        std::fs::write(&path, &torn).unwrap();
        let summary = Reading::open(&path).unwrap().summary();
        assert_eq!((summary.valid, summary.empty), (2, 1), "cut at {cut}");
        damaged += summary.damaged;
    }
    assert!(
        damaged > 100,
        "cuts in the middle of a record must be seen as damage"
    );
}

#[test]
fn a_file_cut_short_anywhere_is_read_or_refused_without_panic() {
    let (_dir, path) = written(4, 4);
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(37) {
        std::fs::write(&path, &whole[..length]).unwrap();
        match Reading::open(&path) {
            Ok(reading) => assert!(reading.records().len() <= 4),
            Err(ReadError::NotARecording { .. }) => assert!(length < HEADER_BYTES),
            Err(other) => panic!("{other}"),
        }
    }
}
