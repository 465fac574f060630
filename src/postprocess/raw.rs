//! Outputs without a meaning: what they hold, for models whose answers somebody else understands.

use super::detection::Detections;
use super::output_reader::{DecodeError, DecodeStats, DecoderError, OutputReader};
use super::summary::{MAX_RANK, Summaries, Summary};
use super::values::Values;
use crate::infer::TensorInfo;
use crate::limits::MAX_OUTPUTS;
use crate::preprocess::Mapping;

#[derive(Debug)]
pub(super) struct Raw {
    outputs: heapless::Vec<(Values, u32), MAX_OUTPUTS>,
    summaries: Summaries,
}

impl Raw {
    pub(super) fn new(outputs: &[TensorInfo]) -> Result<Self, DecoderError> {
        let wrong = || DecoderError::Outputs {
            decoder: "raw",
            found: outputs.to_vec(),
            expected: format!(
                "1..={MAX_OUTPUTS} outputs of at most {MAX_RANK} dimensions and at most 4294967295 elements"
            ),
        };
        let mut raw = Self {
            outputs: heapless::Vec::new(),
            summaries: Summaries::new(),
        };
        for (index, info) in outputs.iter().enumerate() {
            let elements = u32::try_from(info.elements()).map_err(|_| wrong())?;
            let mut summary = Summary {
                rank: u8::try_from(info.shape.len()).map_err(|_| wrong())?,
                ..Summary::default()
            };
            let kept = summary.shape.get_mut(..info.shape.len());
            for (kept, &extent) in kept.ok_or_else(wrong)?.iter_mut().zip(&info.shape) {
                *kept = u32::try_from(extent).map_err(|_| wrong())?;
            }
            raw.summaries.push(summary).map_err(|_| wrong())?;
            raw.outputs
                .push((Values::new(index, info), elements))
                .map_err(|_| wrong())?;
        }
        Ok(raw)
    }
}

impl OutputReader for Raw {
    fn layout(&self) -> String {
        format!("{} outputs, summed up", self.outputs.len())
    }

    fn decode(
        &mut self,
        outputs: &[&[u8]],
        _: &Mapping,
        _: &mut Detections,
    ) -> Result<DecodeStats, DecodeError> {
        let mut stats = DecodeStats::default();
        for ((values, elements), summary) in self.outputs.iter().zip(&mut self.summaries) {
            let view = values.of(outputs)?;
            let mut seen: Option<(f32, f32, u32)> = None;
            for index in 0..*elements {
                let value = view.at(index as usize);
                if !value.is_finite() {
                    stats.refused = stats.refused.saturating_add(1);
                    continue;
                }
                seen = Some(match seen {
                    None => (value, value, index),
                    Some((min, max, _)) if value > max => (min, value, index),
                    Some((min, max, at)) => (min.min(value), max, at),
                });
            }
            (summary.min, summary.max, summary.argmax) = seen.unwrap_or_default();
        }
        Ok(stats)
    }

    fn summaries(&self) -> &Summaries {
        &self.summaries
    }
}
