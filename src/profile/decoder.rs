//! How a model's outputs are read: the words of a profile, and which keys each of them has.
//!
//! A decoder is one row of [`Decoder::ALL`] and one file of `postprocess`, which the compiler asks for.

/// `decoder` of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// BlazeFace short range: 896 anchors, box, six key points and one logit each.
    BlazefaceShort,
    /// Single-shot detector: boxes relative to anchors and a score for each class, or the four outputs of
    /// the operator `TFLite_Detection_PostProcess`.
    Ssd,
    /// YOLO's head in one output, as v5 or as v8 and v11 have it.
    Yolo,
    /// One score for each class; the best one is reported for the whole picture.
    Classify,
    /// No meaning: least and greatest value of each output, and where the greatest stands.
    Raw,
}

impl Decoder {
    /// Every decoder with its name.
    pub(super) const ALL: &[(&str, Self)] = &[
        ("blazeface-short", Self::BlazefaceShort),
        ("ssd", Self::Ssd),
        ("yolo", Self::Yolo),
        ("classify", Self::Classify),
        ("raw", Self::Raw),
    ];

    /// Its name in a profile.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, decoder)| *decoder == self);
        found.map_or("?", |(name, _)| name)
    }

    /// Whether it gives classes, with scores.
    #[must_use]
    pub const fn has_classes(self) -> bool {
        !matches!(self, Self::Raw)
    }

    /// Whether it gives boxes, of which the weaker of two that overlap is suppressed.
    #[must_use]
    pub const fn has_boxes(self) -> bool {
        matches!(self, Self::BlazefaceShort | Self::Ssd | Self::Yolo)
    }

    /// Names of the decoders that `has` something.
    pub(super) fn names(has: impl Fn(Self) -> bool) -> Vec<&'static str> {
        let having = Self::ALL.iter().filter(|(_, decoder)| has(*decoder));
        having.map(|(name, _)| *name).collect()
    }
}

/// `scores` of a model: what its class scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// Any numbers; the sigmoid makes probabilities of them.
    Logits,
    /// Probabilities already.
    Probabilities,
}

/// `box-unit` of a model: what its boxes are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxUnit {
    /// The input's sides: 0 to 1.
    Input,
    /// The input's pixels.
    Pixel,
}

/// One key of `class-thresholds` of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassThreshold {
    /// One of the model's labels.
    pub label: String,
    /// Detections of that class below are dropped, 0..=1.
    pub score: f32,
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn every_decoder_has_one_name() {
        for (index, (name, decoder)) in Decoder::ALL.iter().enumerate() {
            assert_eq!(decoder.name(), *name);
            assert!(Decoder::ALL[..index].iter().all(|(other, _)| other != name));
        }
    }
}
