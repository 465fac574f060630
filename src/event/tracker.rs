//! Detections of one camera by one model, joined into tracks.
//!
//! As in ByteTrack: strong detections are joined first, to the tracks where their motion says they should
//! be; then weak ones (half hidden, say) to tracks that were in view a moment ago, which they may keep
//! alive and never begin. A track that is not seen coasts, and is dropped after `lost-after-ms`.
//!
//! Time is a parameter and only moves forward; intervals may be anything. Nothing is allocated after
//! [`Tracker::new`].
//!
//! # Source
//! Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022.

use super::assign::assign;
use super::kalman::{Bounds, Motion};
use crate::limits::{MAX_DETECTIONS, MAX_TRACKS};
use crate::postprocess::Detection;
use crate::profile;
use crate::units::NS_PER_MS;

/// Least overlap for a weak detection: it has to be where the track is, or it is something else.
///
/// # Source
/// ByteTrack's second association.
const WEAK_OVERLAP: f32 = 0.5;

/// What the profile says about tracking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Tracks at once, 1..=[`MAX_TRACKS`].
    pub max_tracks: usize,
    /// A track that was not seen for longer is dropped.
    pub lost_after_ns: u64,
    /// A detection belongs to a track only if their boxes overlap by at least this, 0..=1.
    pub min_overlap: f32,
    /// From this score on a detection may begin a track, 0..=1.
    pub high_score: f32,
}

impl From<&profile::Tracker> for Settings {
    fn from(tracker: &profile::Tracker) -> Self {
        Self {
            max_tracks: tracker.max_tracks,
            lost_after_ns: tracker.lost_after_ms * NS_PER_MS,
            min_overlap: tracker.min_overlap,
            high_score: tracker.high_score,
        }
    }
}

/// One thing, followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Track {
    /// Its number: from 1, and never given twice in a run.
    pub id: u64,
    /// Class index into the model's labels.
    pub class: u16,
    /// When it was seen first.
    pub born_ns: u64,
    /// When it was seen last.
    pub seen_ns: u64,
    /// The best score that it ever had.
    pub best_score: f32,
    /// Where it was seen last.
    pub bounds: Bounds,
    motion: Motion,
}

impl Track {
    fn new(id: u64, seen: &Detection, now_ns: u64) -> Self {
        let bounds = Bounds::from(seen);
        Self {
            id,
            class: seen.class,
            born_ns: now_ns,
            seen_ns: now_ns,
            best_score: seen.score,
            bounds,
            motion: Motion::new(&bounds),
        }
    }

    /// How fast its centre moves, in pixels a second, as far as is known.
    #[must_use]
    pub const fn velocity_px_s(&self) -> [f32; 2] {
        self.motion.velocity_px_s()
    }

    fn see(&mut self, seen: &Detection, now_ns: u64) {
        self.bounds = Bounds::from(seen);
        self.motion.correct(&self.bounds);
        self.seen_ns = now_ns;
        self.best_score = self.best_score.max(seen.score);
    }
}

/// A track that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The place it had.
    pub place: usize,
    /// Its number.
    pub id: u64,
    /// Its class.
    pub class: u16,
}

/// What a tracker could not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tracks begun.
    pub tracks: u64,
    /// Strong detections that found all `max-tracks` places taken.
    pub refused: u64,
    /// Detections that were no box: not finite, or without an area.
    pub unsound: u64,
}

/// Follows what one model sees on one camera.
#[derive(Debug)]
pub struct Tracker {
    settings: Settings,
    places: Box<[Option<Track>; MAX_TRACKS]>,
    gone: heapless::Vec<Gone, MAX_TRACKS>,
    now_ns: u64,
    counts: Counts,
}

impl Tracker {
    /// Nothing is followed yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Settings {
                max_tracks: settings.max_tracks.min(MAX_TRACKS),
                ..settings
            },
            places: Box::new([None; MAX_TRACKS]),
            gone: heapless::Vec::new(),
            now_ns: 0,
            counts: Counts::default(),
        }
    }

    /// Takes in what was seen at `capture_ns`; a time that is not after the last one counts as the moment after
    /// it. Numbers for new tracks are those after `last_id`.
    pub fn update(&mut self, capture_ns: u64, detections: &[Detection], last_id: &mut u64) {
        let before_ns = self.now_ns;
        // Each update has a time of its own: `seen_ns` says which tracks it has seen.
        let least_ns = if before_ns == 0 {
            0
        } else {
            before_ns.saturating_add(1)
        };
        let now_ns = capture_ns.max(least_ns);
        self.now_ns = now_ns;
        self.drop_the_lost(now_ns);
        #[allow(clippy::cast_precision_loss)] // a nanosecond more or less moves nothing
        let seconds = (now_ns - before_ns) as f32 / 1e9;
        for track in self.places.iter_mut().flatten() {
            track.motion.predict(seconds);
        }
        let sound = |seen: &&Detection| Bounds::from(*seen).is_sound() && seen.score.is_finite();
        let unsound = detections.iter().filter(|seen| !sound(seen)).count();
        self.counts.unsound += unsound as u64;
        let high = self.settings.high_score;
        let of = |strong: bool| -> heapless::Vec<&Detection, MAX_DETECTIONS> {
            detections
                .iter()
                .filter(sound)
                .filter(|seen| (seen.score >= high) == strong)
                .take(MAX_DETECTIONS)
                .collect()
        };
        let strong = of(true);
        let joined = self.join(&strong, self.settings.min_overlap, |_| true);
        self.join(&of(false), WEAK_OVERLAP, |track| track.seen_ns == before_ns);
        for track in self.places.iter_mut().flatten() {
            if track.seen_ns != now_ns {
                track.motion.hold_size();
            }
        }
        for (seen, joined) in strong.iter().zip(joined) {
            if !joined {
                self.begin(seen, last_id);
            }
        }
    }

    fn drop_the_lost(&mut self, now_ns: u64) {
        self.gone.clear();
        for (place, slot) in self.places.iter_mut().enumerate() {
            if let Some(track) = slot
                && now_ns - track.seen_ns > self.settings.lost_after_ns
            {
                let (id, class) = (track.id, track.class);
                // As many places as there are tracks.
                let _ = self.gone.push(Gone { place, id, class });
                *slot = None;
            }
        }
    }

    /// Joins detections to tracks that may have them and were not seen yet; says which were joined.
    fn join(
        &mut self,
        detections: &[&Detection],
        least: f32,
        may: impl Fn(&Track) -> bool,
    ) -> heapless::Vec<bool, MAX_DETECTIONS> {
        let now_ns = self.now_ns;
        let open: heapless::Vec<(usize, u16, Bounds), MAX_TRACKS> = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(place, track)| Some((place, (*track)?)))
            .filter(|(_, track)| track.born_ns != now_ns && track.seen_ns != now_ns && may(track))
            .map(|(place, track)| (place, track.class, track.motion.bounds()))
            .collect();
        let pairs = assign(detections.len(), open.len(), |row, column| {
            let (Some(seen), Some((_, class, bounds))) = (detections.get(row), open.get(column))
            else {
                return 0.0;
            };
            let overlap = bounds.overlap(&Bounds::from(*seen));
            if seen.class == *class && overlap >= least {
                // What is just enough is worth something, too.
                overlap - least + f32::EPSILON
            } else {
                0.0
            }
        });
        for (seen, pair) in detections.iter().zip(&pairs) {
            let place = pair.and_then(|column| open.get(column)).map(|open| open.0);
            if let Some(track) = place.and_then(|place| self.places[place].as_mut()) {
                track.see(seen, now_ns);
            }
        }
        pairs.iter().map(Option::is_some).collect()
    }

    fn begin(&mut self, seen: &Detection, last_id: &mut u64) {
        let free = self.places[..self.settings.max_tracks]
            .iter_mut()
            .find(|place| place.is_none());
        match free {
            Some(place) => {
                *last_id += 1;
                *place = Some(Track::new(*last_id, seen, self.now_ns));
                self.counts.tracks += 1;
            }
            None => self.counts.refused += 1,
        }
    }

    /// Every track, with its place: a number below [`MAX_TRACKS`] that is its own while it lives.
    pub fn tracks(&self) -> impl Iterator<Item = (usize, &Track)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(place, track)| Some((place, track.as_ref()?)))
    }

    /// Tracks that the last update dropped. Their places may have new tracks.
    #[must_use]
    pub fn gone(&self) -> &[Gone] {
        &self.gone
    }

    /// The time of the last update.
    #[must_use]
    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// What it did and could not do.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of one tracker.
    #[must_use]
    pub const fn bytes() -> u64 {
        (size_of::<Self>() + size_of::<[Option<Track>; MAX_TRACKS]>()) as u64
    }
}
