//! How a model's outputs are read: the words of a profile, and which keys each of them has.
//!
//! A decoder is one line of [`Decoder`] and one file of `postprocess`, which the compiler asks for.

use crate::profile::reader::values::words;

words! {
    /// `decoder` of a model.
    pub enum Decoder {
        /// BlazeFace short range: 896 anchors, box, six key points and one logit each.
        BlazefaceShort = "blazeface-short",
        /// Single-shot detector: boxes relative to anchors and a score for each class, or the four outputs of
        /// the operator `TFLite_Detection_PostProcess`.
        Ssd = "ssd",
        /// YOLO's head in one output, as v5 or as v8 and v11 have it.
        Yolo = "yolo",
        /// One score for each class; the best one is reported for the whole picture.
        Classify = "classify",
        /// No meaning: least and greatest value of each output, and where the greatest stands.
        Raw = "raw",
    }
}

impl Decoder {
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

words! {
    /// `scores` of a model: what its class scores are.
    pub enum Scores {
        /// Any numbers; the sigmoid makes probabilities of them.
        Logits = "logits",
        /// Probabilities already.
        Probabilities = "probabilities",
    }
}

words! {
    /// `box-unit` of a model: what its boxes are measured in.
    pub enum BoxUnit {
        /// The input's sides: 0 to 1.
        Input = "input",
        /// The input's pixels.
        Pixel = "pixel",
    }
}
