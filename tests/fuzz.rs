//! Bytes from outside, changed at random: whatever they are, nothing panics, nothing is written beyond its
//! bounds, and what is accepted is what it claims to be.
//!
//! `make fuzz SECONDS_PER_TARGET=600` runs each target for as long; `make test` runs each for some seconds.
#![allow(unsafe_code)]

#[path = "fuzz/mutate.rs"]
mod mutate;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use mutate::fuzz;
use pinsight::capture::stream::frames::{Fed, Frames as _};
use pinsight::capture::stream::jpeg_frames::JpegFrames;
use pinsight::capture::stream::mjpeg::size_px;
use pinsight::capture::stream::raw_frames::{Layout, RawFrames};
use pinsight::capture::stream::y4m::Header;
use pinsight::frame::{
    Colour, FrameFacts, FrameHeader, FrameMeta, HeaderFault, PixelFormat, StreamFormat,
};
use pinsight::jpeg::{Damage, Jpeg, Samples, Sampling, flat};
use pinsight::profile;
use pinsight::record::{
    FileHeader, FrameResult, HeaderState, Origin, RECORD_BYTES, ReadError, Reading, Recording,
};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A number for whatever can be shown.
fn outcome(of: impl std::fmt::Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{of:?}").hash(&mut hasher);
    hasher.finish()
}

#[test]
fn no_frame_header_is_taken_for_another() {
    const _: () = assert!(size_of::<FrameHeader>() == 64);
    let sealed = |sequence: u64| {
        let meta = FrameMeta {
            capture_ns: 5_000_000_000 + sequence % 9,
            dequeue_ns: 5_000_400_000 + sequence % 9,
            bytes_used: 3_110_400,
            width_px: 1920,
            height_px: 1080,
            stride_bytes: 1920,
            fourcc: *b"NV12",
            ..FrameMeta::default()
        };
        let facts = meta.facts(2, 3, sequence);
        let mut bytes = facts.crc().to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        // SAFETY: 56 bytes of integers without padding.
        bytes.extend(unsafe { std::mem::transmute::<FrameFacts, [u8; 56]>(facts) });
        bytes
    };
    let seeds = [sealed(7), sealed(u64::MAX)];
    fuzz("frame-header", &seeds, &[], |input| {
        let mut bytes = [0; 64];
        let length = input.len().min(64);
        bytes[..length].copy_from_slice(&input[..length]);
        // SAFETY: 64 bytes; every field is an integer or an atomic one, which any bytes are.
        let header: FrameHeader = unsafe { std::mem::transmute(bytes) };
        let verdict = header.verify(3, 7);
        match verdict {
            Ok(()) => assert_eq!(
                (header.slot, header.sequence, header.facts_crc()),
                (3, 7, header.crc())
            ),
            Err(HeaderFault::Torn { .. }) => assert_ne!(header.facts_crc(), header.crc()),
            Err(_) => assert!((header.slot, header.sequence) != (3, 7)),
        }
        outcome(std::mem::discriminant(&verdict.err()))
            ^ outcome(verdict.err().map(|e| e.to_string().len()))
    });
}

trait FactsCrc {
    fn facts_crc(&self) -> u32;
}

impl FactsCrc for FrameHeader {
    fn facts_crc(&self) -> u32 {
        // What the header derefs to is its facts.
        (**self).crc()
    }
}

#[test]
fn no_y4m_stream_breaks_its_reader() {
    let stream = |chroma: &str, bytes: usize| {
        let mut stream =
            format!("YUV4MPEG2 W32 H16 F30:1 Ip A1:1 C{chroma} XCOLORRANGE=FULL\n").into_bytes();
        for number in 0..3_u8 {
            stream.extend(b"FRAME Ip\n");
            stream.extend(std::iter::repeat_n(number, bytes));
        }
        stream
    };
    let seeds = [
        stream("420jpeg", 768),
        stream("422", 1024),
        stream("mono", 512),
    ];
    let words: &[&[u8]] = &[
        b"YUV4MPEG2 ",
        b"FRAME\n",
        b" W16",
        b" H16",
        b" F0:0",
        b" C444",
        b" Ip",
        b"\n",
        b" ",
    ];
    fuzz("y4m", &seeds, words, |input| {
        let line = input
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(input.len(), |at| at + 1);
        let (line, mut rest) = input.split_at(line.min(1024));
        let header = match Header::parse(line) {
            Ok(header) => header,
            Err(error) => return outcome((error.expected, error.to_string().len().min(40))),
        };
        assert!((1..=65_535).contains(&header.width_px));
        let mut did = outcome((header.chroma, header.full_range, header.rate.is_some()));
        for pixel in [
            PixelFormat::Nv12,
            PixelFormat::Yu12,
            PixelFormat::Yuyv,
            PixelFormat::Nv16,
            PixelFormat::Grey,
        ] {
            let small = header.width_px.max(header.height_px) <= 512;
            let Some(layout) = Layout::y4m(&header, pixel, 1).filter(|_| small) else {
                continue;
            };
            let bytes = layout.format().size_bytes as usize;
            // What lies behind the slot has to stay as it is.
            let mut slot = vec![0xa5; bytes + 64];
            let mut assembly = RawFrames::new(layout);
            let mut frames = 0;
            while !rest.is_empty() {
                let room = assembly.room(Some(&mut slot[..bytes]));
                let count = room.len().min(rest.len()).min(301);
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                match assembly.fed(Some(&mut slot[..bytes]), count) {
                    Fed::More => {}
                    Fed::Frame => frames += 1,
                    Fed::Broken => break,
                }
            }
            assert!(slot[bytes..].iter().all(|&byte| byte == 0xa5));
            did ^= outcome((pixel, frames, assembly.done_bytes().min(3)));
        }
        did
    });
}

const SIDES: (u16, u16) = (48, 32);

fn jpeg_stream() -> StreamFormat {
    StreamFormat {
        pixel: PixelFormat::Mjpg,
        width_px: SIDES.0.into(),
        height_px: SIDES.1.into(),
        stride_bytes: 0,
        size_bytes: 1 << 16,
        colour: Colour::default(),
        interval_ns: 1,
    }
}

fn jpegs() -> Vec<Vec<u8>> {
    let rgb: Vec<u8> = (0..usize::from(SIDES.0) * usize::from(SIDES.1) * 3)
        .map(|at| (at * at / 97 % 256).to_le_bytes()[0])
        .collect();
    let mut seeds: Vec<_> = [
        SamplingFactor::R_4_4_4,
        SamplingFactor::R_4_2_2,
        SamplingFactor::R_4_2_0,
    ]
    .into_iter()
    .flat_map(|sampling| [(sampling, false), (sampling, true)])
    .map(|(sampling, restarts)| {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, 70);
        encoder.set_sampling_factor(sampling);
        if restarts {
            encoder.set_restart_interval(2);
            encoder.set_optimized_huffman_tables(true);
        }
        encoder
            .encode(&rgb, SIDES.0, SIDES.1, ColorType::Rgb)
            .unwrap();
        out
    })
    .collect();
    // Those without Huffman tables.
    seeds.extend(Sampling::ALL.map(|sampling| flat(SIDES.0, SIDES.1, sampling)));
    seeds
}

const MARKERS: &[&[u8]] = &[
    &[0xff, 0xd8],
    &[0xff, 0xd9],
    &[0xff, 0xda],
    &[0xff, 0xdb],
    &[0xff, 0xc0],
    &[0xff, 0xc1],
    &[0xff, 0xc2],
    &[0xff, 0xc4],
    &[0xff, 0xdd, 0, 4, 0, 1],
    &[0xff, 0xd0],
    &[0xff, 0xd1],
    &[0xff, 0],
    &[0xff, 0xee, 0, 14],
    &[0xff, 0xe1, 0, 8],
    &[0xff, 0xff],
    &[8, 0, 32, 0, 48, 3],
    &[0x11],
    &[0x22],
    &[0x21],
];

#[test]
fn no_jpeg_frame_breaks_its_decoder() {
    let format = jpeg_stream();
    let decoders =
        [Samples::Rgb, Samples::Luma].map(|samples| Jpeg::new(&format, samples).unwrap());
    let mut copy = vec![0; (1 << 16) + 512];
    let mut picture = vec![0; usize::from(SIDES.0) * usize::from(SIDES.1) * 3 + 64];
    fuzz("jpeg", &jpegs(), MARKERS, |input| {
        let mut did = 0;
        for decoder in &decoders {
            let taken = decoder.take(input, &mut copy);
            let end = picture.len() - 64;
            picture[end..].fill(0xa5);
            let decoded = taken.and_then(|taken| {
                decoder
                    .decode(&copy[..taken], &mut picture[..end])
                    .map(<[u8]>::len)
            });
            assert!(picture[end..].iter().all(|&byte| byte == 0xa5));
            // Two pictures of another size are as good as one.
            let decoded = match decoded {
                Err(Damage::Size { .. }) => Err(Damage::Size { found: (0, 0) }),
                other => other,
            };
            did ^= outcome(decoded).rotate_left(1);
        }
        // What a decoder was given tells more than what became of it.
        did ^ outcome(input.len() / 64)
    });
}

#[test]
fn no_mjpeg_stream_breaks_its_splitter() {
    let all: Vec<u8> = jpegs().concat();
    let multipart: Vec<u8> = jpegs()
        .iter()
        .flat_map(|one| [&b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"[..], one].concat())
        .collect();
    fuzz("mjpeg", &[all, multipart], MARKERS, |input| {
        let mut ends = Vec::new();
        for piece in [input.len().max(1), 977, 13] {
            let mut gathering = JpegFrames::new((48, 32), 1).unwrap();
            let mut slot = vec![0xa5; 2000 + 64];
            let mut pictures = Vec::new();
            let mut rest = input;
            loop {
                let fed = if gathering.has_rest() {
                    gathering.rest(Some(&mut slot[..2000]))
                } else {
                    let room = gathering.room(None);
                    let count = piece.min(room.len()).min(rest.len());
                    if count == 0 {
                        break;
                    }
                    room[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    gathering.fed(Some(&mut slot[..2000]), count)
                };
                if fed == Fed::Frame {
                    let last = gathering.last();
                    assert!(last.bytes <= 2000);
                    pictures.push((outcome(&slot[..last.bytes]), last.cut));
                }
            }
            assert!(slot[2000..].iter().all(|&byte| byte == 0xa5));
            ends.push((pictures, gathering.done_bytes()));
        }
        assert!(
            ends.iter().all(|end| *end == ends[0]),
            "pictures depend on the pieces"
        );
        let _ = size_px(input);
        outcome((ends[0].0.len(), ends[0].1.min(9)))
    });
}

#[test]
fn no_profile_breaks_its_reader() {
    let seeds: Vec<Vec<u8>> = std::fs::read_dir("boards")
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    let words: &[&[u8]] = &[
        b"[[camera]]\n",
        b"[[model]]\n",
        b"[[worker]]\n",
        b"[memory]\n",
        b"= ",
        b"0",
        b"-1",
        b"1e400",
        b"\"\"",
        b"\"\"\"",
        b"[]",
        b"{}",
        b"true",
        b"inf",
        b"nan",
        b"99999999999999999999",
        b"0x7fffffffffffffff",
        b"\"MJPG\"",
        b"source = \"mjpeg\"\n",
        b"path = \"-\"\n",
        b"1979-05-27",
        b"#",
        b"'",
        b"\xc3\xa9",
    ];
    fuzz("profile", &seeds, words, |input| {
        let text = String::from_utf8_lossy(input);
        match profile::read("b.toml", &text) {
            Ok(board) => {
                assert!((1..=64).contains(&board.cameras.len()));
                for camera in &board.cameras {
                    assert!(
                        camera.width_px.is_multiple_of(2) && (16..=8192).contains(&camera.width_px)
                    );
                    let _ = pinsight::resources::budget::FrameNeed::from_profile(camera);
                }
                outcome((board.cameras.len(), board.workers.len()))
            }
            Err(faults) => {
                assert!(!faults.is_empty());
                for fault in &faults {
                    assert!(
                        !fault.to_string().chars().any(|c| c.is_control()),
                        "{fault}"
                    );
                }
                outcome((faults.len().min(20), faults[0].to_string().len().min(200)))
            }
        }
    });
}

#[test]
fn no_recording_breaks_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let header = FileHeader {
        board: "fuzz".into(),
        version: "1".into(),
        cameras: vec!["a".into()],
        models: vec!["face".into()],
        labels: vec![vec!["face".into()]],
        capacity: 16,
        record_bytes: RECORD_BYTES as u64,
        capture_time: true,
    };
    let (mut recording, _) = Recording::open(&path, &header, 9).unwrap();
    for number in 0..20 {
        let result = FrameResult {
            sequence: number,
            ..FrameResult::default()
        };
        recording.append(&result, 1_000_000 * number).unwrap();
    }
    drop(recording);
    let seed = std::fs::read(&path).unwrap();
    // One header before the cells, and one behind them.
    let start = (seed.len() - 16 * RECORD_BYTES) / 2;
    let seeds = [seed.clone()];
    fuzz(
        "recording",
        &seeds,
        &[
            b"PINSREC",
            b"\"capacity\":",
            b"18446744073709551615",
            b"[[",
            b"]",
        ],
        |input| {
            let mut bytes = input.to_vec();
            // What a wrong checksum hides is looked at as well: of every other input they are put right.
            if input.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 2 == 0 {
                reseal(&mut bytes, start);
            }
            std::fs::write(&path, &bytes).unwrap();
            let reading = match Reading::open(&path) {
                Ok(reading) => reading,
                Err(ReadError::NotARecording { found, .. }) => return outcome(found),
                Err(error) => panic!("{error}"),
            };
            let summary = reading.summary();
            let records = reading.records();
            assert_eq!(records.len() as u64, summary.valid);
            assert!(summary.valid + summary.damaged + summary.empty <= reading.header.capacity);
            let numbers: Vec<u64> = records.iter().map(|one| one.number.to_native()).collect();
            // Without a header, it is not known which record belongs where.
            assert!(numbers.is_sorted() || reading.state == HeaderState::Damaged);
            // A run that goes on behind it writes where there is room.
            if let Ok((mut recording, origin)) = Recording::open(&path, &header, 10) {
                recording.append(&FrameResult::default(), 1).unwrap();
                if let Origin::Anew { old, .. } = origin {
                    std::fs::remove_file(old).unwrap();
                }
            }
            outcome((summary.valid, summary.damaged, summary.empty))
        },
    );
}

/// Puts the checksums of the header and of the cells behind `start` right.
fn reseal(bytes: &mut [u8], start: usize) {
    if let Some(length) = bytes.get(8..12)
        && let Ok(length) = usize::try_from(u32::from_le_bytes(length.try_into().unwrap()))
        && let Some(json) = bytes.get(16..16_usize.saturating_add(length))
    {
        let crc = crc32c::crc32c(json).to_le_bytes();
        bytes[12..16].copy_from_slice(&crc);
    }
    for cell in bytes
        .get_mut(start..)
        .unwrap_or_default()
        .chunks_exact_mut(RECORD_BYTES)
    {
        let crc = crc32c::crc32c(&cell[8..]).to_le_bytes();
        cell[..4].copy_from_slice(&crc);
    }
}

#[test]
fn an_input_that_breaks_a_reader_is_noticed_and_kept() {
    let broken = std::panic::catch_unwind(|| {
        fuzz("sample", &[b"abc".to_vec()], &[], |input| {
            assert!(input.len() < 4, "too long for it");
            input.len() as u64
        });
    });
    let message = broken.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("sample: an input of "), "{message}");
    let kept = std::fs::read(std::env::temp_dir().join("pinsight-fuzz-sample")).unwrap();
    assert!(kept.len() >= 4);
}
