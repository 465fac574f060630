//! Filtered samples to pixels.

use crate::preprocess::kernels::gains::Gains;
use crate::preprocess::kernels::output_line::PlaneParts;
use crate::preprocess::kernels::scratch::FilteredRow;
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::layout::TensorLayout;

/// Writes as many pixels as `out` has bytes for.
pub(super) fn colour(
    gains: &[Gains; 3],
    layout: &TensorLayout,
    filtered: &[FilteredRow],
    out: PlaneParts<'_>,
) {
    let size = layout.kind.bytes();
    let channels = layout.channels / layout.planes;
    for (plane, out) in out.into_iter().enumerate() {
        let groups = out.chunks_exact_mut(GROUP * layout.pixel_bytes());
        for (group, out) in groups.enumerate() {
            for channel in 0..channels {
                let values = values(&gains[plane + channel], filtered, group);
                let elements = out.chunks_exact_mut(size).skip(channel).step_by(channels);
                for (out, value) in elements.zip(values) {
                    layout.write_element(value, out);
                }
            }
        }
    }
}

/// One channel of one group of output pixels.
fn values(gains: &Gains, filtered: &[FilteredRow], group: usize) -> [f32; GROUP] {
    let mut values = [gains.one; GROUP];
    for (row, gain) in filtered.iter().zip(gains.gain) {
        let samples = row.0.get(group).copied().unwrap_or_default();
        for (value, sample) in values.iter_mut().zip(samples) {
            *value += gain * sample;
        }
    }
    values.map(|value| value.max(gains.low).min(gains.high))
}
