//! An event as a line of text for small receivers, in the manner of NMEA 0183:
//!
//! ```text
//! $PINEV,rule,kind,phase,camera,track,label,frame,utc_ms,age_ms*hh<CR><LF>
//! ```
//!
//! `hh` is the exclusive or of all bytes between `$` and `*`, in hexadecimal. Lines may be longer than the
//! 82 characters of the standard. In a label, the characters `,`, `*`, `$` and those outside ASCII become
//! `_`. Track and label are empty where no single track is meant.

use crate::event::Event;
use crate::units::NS_PER_MS;
use std::fmt::Write as _;

/// Longest line: names, label and numbers at their longest fit.
const SENTENCE_BYTES: usize = 384;

/// One line.
pub type Sentence = heapless::String<SENTENCE_BYTES>;

/// The names that an event's numbers stand for.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The rule.
    pub rule: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// The camera.
    pub camera: &'a str,
    /// The class of the track.
    pub label: &'a str,
}

/// Writes the line of an event whose frame was captured at `utc_ns`. Allocates nothing.
#[must_use]
pub fn sentence(event: &Event, words: &Words<'_>, utc_ns: u64) -> Sentence {
    let mut line = Sentence::new();
    // The longest line fits, so that nothing is cut.
    let _ = write!(
        line,
        "$PINEV,{},{},{},{},",
        words.rule,
        words.kind,
        event.phase.name(),
        words.camera,
    );
    if event.track != 0 {
        let _ = write!(line, "{}", event.track);
    }
    let _ = line.push(',');
    if event.track != 0 {
        for letter in words.label.chars() {
            let plain = letter.is_ascii_graphic() && !",*$".contains(letter) || letter == ' ';
            let _ = line.push(if plain { letter } else { '_' });
        }
    }
    let _ = write!(
        line,
        ",{},{},{}",
        event.sequence,
        utc_ns / NS_PER_MS,
        event.age_ns / NS_PER_MS
    );
    let sum = line.bytes().skip(1).fold(0, |sum, byte| sum ^ byte);
    let _ = write!(line, "*{sum:02X}\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::{Words, sentence};
    use crate::event::{Event, Phase};
    use crate::limits::MAX_NAME;

    #[test]
    fn a_line_has_its_fields_and_the_checksum_of_nmea() {
        let event = Event {
            phase: Phase::Once,
            track: 7,
            sequence: 120,
            age_ns: 12_900_000,
            ..Event::default()
        };
        let words = Words {
            rule: "comes-in",
            kind: "cross",
            camera: "door",
            label: "big, red*dog é",
        };
        let line = sentence(&event, &words, 1_700_000_000_123_999_999);
        let body = "PINEV,comes-in,cross,once,door,7,big_ red_dog _,120,1700000000123,12";
        let sum = body.bytes().fold(0_u8, |sum, byte| sum ^ byte);
        assert_eq!(line.as_str(), format!("${body}*{sum:02X}\r\n"));
        // The sum as another program computes it.
        let nobody = Event {
            phase: Phase::End,
            ..Event::default()
        };
        let words = Words {
            rule: "a",
            kind: "b",
            camera: "c",
            label: "d",
        };
        assert_eq!(
            sentence(&nobody, &words, 0),
            "$PINEV,a,b,end,c,,,0,0,0*57\r\n"
        );
    }

    #[test]
    fn the_longest_line_fits() {
        let event = Event {
            phase: Phase::Begin,
            track: u64::MAX,
            sequence: u64::MAX,
            age_ns: u64::MAX,
            ..Event::default()
        };
        let name = "n".repeat(MAX_NAME);
        let words = Words {
            rule: &name,
            kind: "presence",
            camera: &name,
            label: &name,
        };
        let line = sentence(&event, &words, u64::MAX);
        assert!(line.ends_with("\r\n"), "{line}");
        let (body, sum) = line[1..].trim_end().split_once('*').unwrap();
        let found = body.bytes().fold(0_u8, |sum, byte| sum ^ byte);
        assert_eq!(u8::from_str_radix(sum, 16).unwrap(), found);
    }
}
