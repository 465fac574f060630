//! What cameras send, against the encoder of another crate.

use super::*;
use crate::frame::{Colour, PixelFormat, StreamFormat};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

const SIZE: (u16, u16) = (72, 56);

/// Four fields of colour; sides of a field are whole units of every sampling.
fn fields((width, height): (u16, u16)) -> Vec<u8> {
    let colour = |x: u16, y: u16| match (x < 32, y < 32) {
        (true, true) => [200, 40, 30],
        (false, true) => [20, 180, 60],
        (true, false) => [30, 60, 220],
        (false, false) => [210, 210, 40],
    };
    (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| colour(x, y)))
        .collect()
}

fn encoded(size: (u16, u16), with: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 92);
    with(&mut encoder);
    encoder
        .encode(&fields(size), size.0, size.1, ColorType::Rgb)
        .unwrap();
    out
}

fn usual() -> Vec<u8> {
    encoded(SIZE, |encoder| {
        encoder.set_sampling_factor(SamplingFactor::R_4_2_2)
    })
}

fn stream((width, height): (u16, u16)) -> StreamFormat {
    StreamFormat {
        pixel: PixelFormat::Mjpg,
        width_px: width.into(),
        height_px: height.into(),
        stride_bytes: 0,
        size_bytes: 1 << 20,
        colour: Colour::default(),
        interval_ns: 1,
    }
}

fn decoded(jpeg: &[u8], samples: Samples) -> Result<Vec<u8>, Damage> {
    let format = stream(SIZE);
    let decoder = Jpeg::new(&format, samples).unwrap();
    let room = PixelFormat::Mjpg.decoding(
        u32::try_from(jpeg.len()).unwrap(),
        format.width_px,
        format.height_px,
    );
    let mut copy = vec![0; usize::try_from(room.copy_bytes).unwrap()];
    let mut picture = vec![0; usize::try_from(room.picture_bytes).unwrap()];
    let taken = decoder.take(jpeg, &mut copy)?;
    let picture = decoder.decode(&copy[..taken], &mut picture)?;
    assert_eq!(picture.len(), decoder.decoded().size_bytes as usize);
    Ok(picture.to_vec())
}

/// Takes the segments with this marker out.
fn without(jpeg: &[u8], marker: u8) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]])) + 2;
        if jpeg[at + 1] != marker {
            out.extend(&jpeg[at..at + length]);
        }
        at += length;
    }
    out.extend(&jpeg[at..]);
    out
}

#[track_caller]
fn near(found: &[u8], expected: &[u8], what: &str) {
    let centres = [(8, 8), (56, 8), (8, 48), (56, 48)];
    for (x, y) in centres {
        let at = (y * usize::from(SIZE.0) + x) * 3;
        let (found, expected) = (&found[at..at + 3], &expected[at..at + 3]);
        let close = found.iter().zip(expected).all(|(f, e)| f.abs_diff(*e) <= 4);
        assert!(close, "{what} at {x} {y}: {found:?}, not {expected:?}");
    }
}

#[test]
fn pictures_of_each_sampling_have_their_colours() {
    for (factor, sampling) in [
        (SamplingFactor::R_4_4_4, "4:4:4"),
        (SamplingFactor::R_4_2_2, "4:2:2"),
        (SamplingFactor::R_4_2_0, "4:2:0"),
    ] {
        let jpeg = encoded(SIZE, |encoder| encoder.set_sampling_factor(factor));
        near(
            &decoded(&jpeg, Samples::Rgb).unwrap(),
            &fields(SIZE),
            sampling,
        );
        let restarted = encoded(SIZE, |encoder| {
            encoder.set_sampling_factor(factor);
            encoder.set_restart_interval(3);
        });
        assert!(
            decoded(&restarted, Samples::Rgb) == decoded(&jpeg, Samples::Rgb),
            "{sampling} with restarts"
        );
    }
}

#[test]
fn luma_alone_is_the_luma_of_the_colours() {
    let luma = decoded(&usual(), Samples::Luma).unwrap();
    let rgb = fields(SIZE);
    let expected: Vec<u8> = rgb
        .chunks(3)
        .map(|c| f64::from(c[0]) * 0.299 + f64::from(c[1]) * 0.587 + f64::from(c[2]) * 0.114)
        .flat_map(|y| format!("{y:.0}").parse::<u8>())
        .flat_map(|y| [y; 3])
        .collect();
    let luma: Vec<u8> = luma.into_iter().flat_map(|y| [y; 3]).collect();
    near(&luma, &expected, "luma");
}

#[test]
fn a_camera_that_sees_grey_is_read_in_colour_and_as_luma() {
    let mut jpeg = Vec::new();
    let samples: Vec<u8> = fields(SIZE).chunks(3).map(|c| c[0]).collect();
    Encoder::new(&mut jpeg, 92)
        .encode(&samples, SIZE.0, SIZE.1, ColorType::Luma)
        .unwrap();
    let expected: Vec<u8> = samples.iter().flat_map(|&y| [y; 3]).collect();
    near(
        &decoded(&jpeg, Samples::Rgb).unwrap(),
        &expected,
        "in colour",
    );
    let luma = decoded(&jpeg, Samples::Luma).unwrap();
    let luma: Vec<u8> = luma.into_iter().flat_map(|y| [y; 3]).collect();
    near(&luma, &expected, "as luma");
}

#[test]
fn a_picture_without_huffman_tables_is_read_with_the_standard_ones() {
    let jpeg = usual();
    let bare = without(&jpeg, 0xc4);
    assert!(bare.len() + 400 < jpeg.len());
    assert!(decoded(&bare, Samples::Rgb).unwrap() == decoded(&jpeg, Samples::Rgb).unwrap());
}

#[test]
fn what_no_decoder_needs_changes_nothing() {
    let jpeg = usual();
    let plain = decoded(&jpeg, Samples::Rgb).unwrap();
    // A thumbnail is a JPEG picture within a segment, its end included.
    let mut exif = b"Exif\0\0".to_vec();
    exif.extend(flat(16, 16, Sampling::S444));
    let length = u16::try_from(exif.len() + 2).unwrap();
    let mut dressed = vec![0xff, 0xd8, 0xff, 0xff, 0xff, 0xe1];
    dressed.extend(length.to_be_bytes());
    dressed.extend(exif);
    dressed.extend([0xff, 0xfe, 0, 6, b'n', b'o', b't', b'e']);
    // What Motion-JPEG of AVI says of itself; and padding behind the end.
    dressed.extend([0xff, 0xe0, 0, 8, b'A', b'V', b'I', b'1', 0, 0]);
    dressed.extend(&jpeg[2..]);
    dressed.extend([0; 300]);
    assert!(decoded(&dressed, Samples::Rgb).unwrap() == plain);
}

#[test]
fn flat_pictures_are_grey_in_every_sampling() {
    for sampling in Sampling::ALL {
        for samples in [Samples::Rgb, Samples::Luma] {
            let picture = decoded(&flat(SIZE.0, SIZE.1, sampling), samples).unwrap();
            assert!(
                picture.iter().all(|&sample| sample == 128),
                "{sampling:?} as {samples:?}"
            );
        }
    }
}

#[test]
fn what_is_no_whole_picture_of_the_stream_is_named() {
    let jpeg = usual();
    for (bytes, damage) in [
        (vec![], Damage::NoPicture),
        (b"GIF89a".to_vec(), Damage::NoPicture),
        (jpeg[1..].to_vec(), Damage::NoPicture),
        (jpeg[..jpeg.len() - 1].to_vec(), Damage::Cut),
        (
            flat(72, 48, Sampling::S420),
            Damage::Size { found: (72, 48) },
        ),
        (
            encoded(SIZE, |encoder| encoder.set_progressive(true)),
            Damage::Kind { found: 0xc2 },
        ),
        (without(&jpeg, 0xc0), Damage::Marker { found: 0xda }),
        (without(&jpeg, 0xdb), Damage::Samples),
        (
            encoded(SIZE, |encoder| {
                encoder.set_sampling_factor(SamplingFactor::R_4_4_0);
            }),
            Damage::Components,
        ),
    ] {
        let found = decoded(&bytes, Samples::Rgb).unwrap_err();
        assert_eq!(found, damage, "of {} bytes", bytes.len());
        assert!(found.to_string().contains("JPEG"), "{found}");
    }
}

#[test]
fn a_picture_cut_anywhere_is_damage() {
    let jpeg = usual();
    for length in 0..jpeg.len() {
        assert!(
            decoded(&jpeg[..length], Samples::Rgb).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn a_picture_that_misses_rows_is_damage_even_when_it_has_an_end() {
    for sampling in Sampling::ALL {
        let jpeg = flat(SIZE.0, SIZE.1, sampling);
        let samples = jpeg.len() / 8;
        let mut short = jpeg[..jpeg.len() - samples].to_vec();
        short.extend([0xff, 0xd9]);
        let found = decoded(&short, Samples::Rgb).err();
        assert_eq!(found, Some(Damage::Samples), "{sampling:?}");
    }
}

#[test]
fn another_stream_has_no_decoder() {
    let nv12 = StreamFormat {
        pixel: PixelFormat::Nv12,
        ..stream(SIZE)
    };
    assert_eq!(Jpeg::new(&nv12, Samples::Rgb), None);
    assert_eq!(Jpeg::new(&stream((0, 16)), Samples::Rgb), None);
}

proptest! {

    #![proptest_config(crate::proptest_cases::cases(256))]
    #[test]
    fn no_bytes_make_it_panic(noise: Vec<u8>) {
        let mut jpeg = vec![0xff, 0xd8];
        jpeg.extend(noise);
        let _ = decoded(&jpeg, Samples::Rgb);
    }

    #[test]
    fn no_change_of_a_picture_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        bare: bool,
    ) {
        let mut jpeg = if bare { without(&usual(), 0xc4) } else { usual() };
        for (at, value) in changes {
            let at = at.index(jpeg.len());
            jpeg[at] = value;
        }
        let _ = decoded(&jpeg, Samples::Rgb);
        let _ = decoded(&jpeg, Samples::Luma);
    }
}
