//! One rule, with what it knows of every track.
//!
//! A track is *in* a zone, or on a side of a line, by where it was seen, never by where it is thought to
//! be: while it is hidden nothing changes. Another side counts once the track was on it for `debounce-ms`.
//! A track that is lost leaves the zones that it was in.
//!
//! Where it was seen is a point of its box, of the part that is on the picture: a model may guess a box on beyond the
//! picture's edge, and a zone that covers everything has to have in it what stands there.

use super::tracker::{Gone, Track, Tracker};
use super::{Event, Phase};
use crate::limits::MAX_TRACKS;
use crate::profile::geometry::{CORNERS, Point, contains, side, touch};
use crate::profile::{self, Anchor, Direction, RuleKind, Span};
use crate::units::NS_PER_MS;

/// Where a rule looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// The whole picture, and what reaches beyond it.
    Whole,
    /// A polygon.
    Zone(heapless::Vec<Point, { *CORNERS.end() }>),
    /// A line, and the way that counts.
    Line {
        from: Point,
        to: Point,
        direction: Direction,
    },
}

/// What a rule reports, with its numbers in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reports {
    Enter,
    Leave,
    Dwell { dwell_ns: u64 },
    Cross,
    Count { at_least: u16 },
    Presence,
    Absence { absent_ns: u64 },
}

/// What a rule knows of one track.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The track that has this place; 0 for none.
    id: u64,
    /// It is in the zone.
    inside: bool,
    /// When it came in.
    inside_ns: u64,
    /// Its stay was long enough, and reported.
    dwelt: bool,
    /// Since when it was seen on the other side, and not for long enough yet.
    turning_ns: Option<u64>,
    /// Its way to there went over the line.
    over_line: bool,
    /// How far it came, each counted once.
    came: Came,
    /// Where it was last beside the line, on the side that counts, and whether that is the right one.
    beside: Option<(Point, bool)>,
}

/// How far a track came on the way to an event.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    in_place: bool,
    strong: bool,
    old: bool,
    settled: bool,
}

impl Came {
    /// Counts what is true for the first time.
    fn note(flag: &mut bool, holds: bool, count: &mut u64) {
        if holds && !*flag {
            *flag = true;
            *count += 1;
        }
    }
}

/// What became of a rule's events, and of the tracks that it looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RuleCounts {
    /// Events reported. The end of a state counts as well.
    pub fired: u64,
    /// Events that came within `cool-down-ms` of the one before.
    pub suppressed: u64,
    /// Results that it looked at.
    pub frames: u64,
    /// Tracks of its classes.
    pub tracks: u64,
    /// Of them, those whose anchor was in the zone, or went over the line.
    pub in_place: u64,
    /// Of those, the ones with `min-score` there.
    pub strong: u64,
    /// Of those, the ones as old as `min-age-ms`.
    pub old: u64,
    /// Those that were there, or beyond the line, for `debounce-ms`.
    pub settled: u64,
    /// The best score of a track in its place.
    pub best_score: f32,
    /// The most tracks that were in the zone at once.
    pub most_members: u16,
    /// The longest stay of a track, or of a rule about absence the longest time without one.
    pub longest_ns: u64,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    reports: Reports,
    place: Place,
    /// Width and height of the picture.
    size_px: [f32; 2],
    /// Classes that it looks at; empty for all.
    classes: Box<[u16]>,
    anchor: Anchor,
    min_score: f32,
    min_age_ns: u64,
    debounce_ns: u64,
    cool_down_ns: u64,
    known: Box<[Known; MAX_TRACKS]>,
    /// Tracks in the zone.
    members: u16,
    /// Since when there is none.
    empty_ns: Option<u64>,
    state: State,
    last_fired_ns: Option<u64>,
    pub(super) counts: RuleCounts,
}

/// Where a rule that reports states is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It does not hold.
    Off,
    /// It holds, and that waits for the cool-down's end.
    Held,
    /// It holds, and that was reported.
    On,
}

/// The frame that a rule looks at, as its events carry it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// An event of the rule, without what is particular.
    pub(super) event: Event,
    /// Nothing was inferred for longer than a track is remembered.
    pub(super) gap: bool,
}

impl Rule {
    /// A rule that looks at `place` of a picture of this size, with its classes by index.
    pub(super) fn new(rule: &profile::Rule, place: Place, size_px: [f32; 2]) -> Self {
        let ns = |ms: u64| ms * NS_PER_MS;
        Self {
            reports: match rule.kind {
                RuleKind::Enter { .. } => Reports::Enter,
                RuleKind::Leave { .. } => Reports::Leave,
                RuleKind::Dwell { dwell_ms, .. } => Reports::Dwell {
                    dwell_ns: ns(dwell_ms),
                },
                RuleKind::Cross { .. } => Reports::Cross,
                RuleKind::Count { at_least, .. } => Reports::Count { at_least },
                RuleKind::Presence { .. } => Reports::Presence,
                RuleKind::Absence { absent_ms, .. } => Reports::Absence {
                    absent_ns: ns(absent_ms),
                },
            },
            place,
            size_px,
            classes: rule
                .classes
                .iter()
                .filter_map(|class| u16::try_from(*class).ok())
                .collect(),
            anchor: rule.anchor,
            min_score: rule.min_score,
            min_age_ns: ns(rule.min_age_ms),
            debounce_ns: ns(rule.debounce_ms),
            cool_down_ns: ns(rule.cool_down_ms),
            known: Box::new([Known::default(); MAX_TRACKS]),
            members: 0,
            empty_ns: None,
            state: State::Off,
            last_fired_ns: None,
            counts: RuleCounts::default(),
        }
    }

    /// Bytes of one rule, classes aside.
    pub(super) const fn bytes() -> u64 {
        (size_of::<Self>() + size_of::<[Known; MAX_TRACKS]>()) as u64
    }

    /// Looks at what a tracker has just taken in, and reports the events that follow.
    pub(super) fn look(
        &mut self,
        tracker: &Tracker,
        frame: &Frame,
        report: &mut impl FnMut(&Event),
    ) {
        let now_ns = tracker.now_ns();
        self.counts.frames += 1;
        for gone in tracker.gone() {
            self.forget(gone, frame, now_ns, report);
        }
        for (place, track) in tracker.tracks() {
            let of_class = self.classes.is_empty() || self.classes.contains(&track.class);
            if of_class && track.seen_ns == now_ns {
                self.see(place, track, frame, report);
            }
        }
        if self.members > 0 {
            self.empty_ns = None;
        } else if frame.gap || self.empty_ns.is_none() {
            // Nobody looked during the gap: what was not seen then was not absent.
            self.empty_ns = Some(now_ns);
        }
        self.counts.most_members = self.counts.most_members.max(self.members);
        if let (Reports::Absence { .. }, Some(since_ns)) = (self.reports, self.empty_ns) {
            self.counts.longest_ns = self.counts.longest_ns.max(now_ns - since_ns);
        }
        let holds = match self.reports {
            Reports::Count { at_least } => self.members >= at_least,
            Reports::Presence => self.members > 0,
            Reports::Absence { absent_ns } => self
                .empty_ns
                .is_some_and(|since_ns| now_ns - since_ns >= absent_ns),
            _ => return,
        };
        self.hold(holds, frame, now_ns, report);
    }

    fn see(&mut self, place: usize, track: &Track, frame: &Frame, report: &mut impl FnMut(&Event)) {
        let now_ns = track.seen_ns;
        let strong = track.best_score >= self.min_score;
        let counts = strong && now_ns.saturating_sub(track.born_ns) >= self.min_age_ns;
        let seen = track.bounds.on_picture(self.size_px);
        let point = match self.anchor {
            Anchor::Bottom => seen.bottom(),
            Anchor::Centre => seen.centre(),
        };
        let Some(known) = self.known.get_mut(place) else {
            return;
        };
        if known.id != track.id {
            *known = Known {
                id: track.id,
                ..Known::default()
            };
            self.counts.tracks += 1;
        }
        let (sum, best_score) = (&mut self.counts, track.best_score);
        let event = Event {
            track: track.id,
            class: track.class,
            at_px: Some(point),
            ..frame.event
        };
        let is_in = match &self.place {
            Place::Line {
                from,
                to,
                direction,
            } => {
                let crossed = known.step(point, (*from, *to), now_ns, self.debounce_ns);
                let wanted = |way: &Direction| *direction == Direction::Both || direction == way;
                Came::note(&mut known.came.in_place, known.over_line, &mut sum.in_place);
                if known.over_line {
                    sum.best_score = sum.best_score.max(best_score);
                }
                let settled = crossed.is_some();
                Came::note(&mut known.came.settled, settled, &mut sum.settled);
                Came::note(&mut known.came.strong, settled && strong, &mut sum.strong);
                Came::note(&mut known.came.old, settled && counts, &mut sum.old);
                if let Some(way) = crossed.filter(wanted).filter(|_| counts) {
                    let event = Event {
                        direction: Some(way),
                        ..event
                    };
                    self.moment(event, now_ns, report);
                }
                return;
            }
            Place::Whole => true,
            Place::Zone(corners) => contains(corners, point),
        };
        if is_in {
            sum.best_score = sum.best_score.max(best_score);
        }
        Came::note(&mut known.came.in_place, is_in, &mut sum.in_place);
        Came::note(&mut known.came.strong, is_in && strong, &mut sum.strong);
        Came::note(&mut known.came.old, is_in && counts, &mut sum.old);
        if !counts {
            return;
        }
        let turned = known.turn(is_in, now_ns, self.debounce_ns);
        let (inside, stay_ns) = (known.inside, now_ns - known.inside_ns);
        Came::note(&mut known.came.settled, inside, &mut sum.settled);
        if inside && matches!(self.reports, Reports::Dwell { .. }) {
            sum.longest_ns = sum.longest_ns.max(stay_ns);
        }
        match (turned, inside) {
            (true, true) => self.members += 1,
            (true, false) => self.members -= 1,
            _ => {}
        }
        let members = self.members;
        let event = Event { members, ..event };
        match self.reports {
            Reports::Enter if turned && inside => self.moment(event, now_ns, report),
            Reports::Leave if turned && !inside => self.moment(event, now_ns, report),
            Reports::Dwell { dwell_ns } if inside && !known.dwelt && stay_ns >= dwell_ns => {
                known.dwelt = true;
                self.moment(event, now_ns, report);
            }
            _ => {}
        }
    }

    /// A track is lost: it leaves.
    fn forget(&mut self, gone: &Gone, frame: &Frame, now_ns: u64, report: &mut impl FnMut(&Event)) {
        let Some(known) = self.known.get_mut(gone.place).filter(|k| k.id == gone.id) else {
            return;
        };
        let was_inside = known.inside;
        *known = Known::default();
        if !was_inside {
            return;
        }
        self.members -= 1;
        if self.reports == Reports::Leave {
            let event = Event {
                track: gone.id,
                class: gone.class,
                members: self.members,
                ..frame.event
            };
            self.moment(event, now_ns, report);
        }
    }

    /// The rule has something to report, unless it reported something just before.
    fn moment(&mut self, event: Event, now_ns: u64, report: &mut impl FnMut(&Event)) {
        if self.is_cooling(now_ns) {
            self.counts.suppressed += 1;
            return;
        }
        self.last_fired_ns = Some(now_ns);
        self.counts.fired += 1;
        report(&event);
    }

    /// The rule's state holds or not. A beginning within the cool-down is reported at its end, if the state
    /// holds until then.
    fn hold(&mut self, holds: bool, frame: &Frame, now_ns: u64, report: &mut impl FnMut(&Event)) {
        let phase = match (holds, self.state) {
            (true, State::Off | State::Held) if !self.is_cooling(now_ns) => {
                self.state = State::On;
                self.last_fired_ns = Some(now_ns);
                Phase::Begin
            }
            (true, State::Off) => {
                self.state = State::Held;
                self.counts.suppressed += 1;
                return;
            }
            (false, State::On) => {
                self.state = State::Off;
                Phase::End
            }
            (false, _) => {
                self.state = State::Off;
                return;
            }
            (true, _) => return,
        };
        self.counts.fired += 1;
        report(&Event {
            phase,
            members: self.members,
            ..frame.event
        });
    }

    fn is_cooling(&self, now_ns: u64) -> bool {
        self.last_fired_ns
            .is_some_and(|last_ns| now_ns - last_ns < self.cool_down_ns)
    }

    /// Whether it reports states.
    pub(super) const fn span(&self) -> Span {
        match self.reports {
            Reports::Count { .. } | Reports::Presence | Reports::Absence { .. } => Span::State,
            _ => Span::Moment,
        }
    }
}

impl Known {
    /// The track was seen in the zone or out of it; true when that now counts and did not before.
    fn turn(&mut self, is_in: bool, now_ns: u64, debounce_ns: u64) -> bool {
        if is_in == self.inside {
            self.turning_ns = None;
            return false;
        }
        let since_ns = *self.turning_ns.get_or_insert(now_ns);
        if now_ns - since_ns < debounce_ns {
            return false;
        }
        self.turning_ns = None;
        self.inside = is_in;
        self.inside_ns = since_ns;
        self.dwelt = false;
        true
    }

    /// The track was seen here; the way in which it has crossed the line, when that now counts.
    fn step(
        &mut self,
        point: Point,
        (from, to): (Point, Point),
        now_ns: u64,
        debounce_ns: u64,
    ) -> Option<Direction> {
        let side = side(from, to, point);
        if side == 0.0 {
            // On the line is on neither side.
            return None;
        }
        let right = side > 0.0;
        let Some((before, was_right)) = self.beside else {
            self.beside = Some((point, right));
            return None;
        };
        if right == was_right {
            self.beside = Some((point, right));
            self.turning_ns = None;
            return None;
        }
        if self.turning_ns.is_none() {
            // It may have gone around the line's end.
            self.over_line = touch(before, point, from, to);
        }
        let since_ns = *self.turning_ns.get_or_insert(now_ns);
        if now_ns - since_ns < debounce_ns {
            return None;
        }
        self.turning_ns = None;
        self.beside = Some((point, right));
        let way = if right {
            Direction::ToRight
        } else {
            Direction::ToLeft
        };
        self.over_line.then_some(way)
    }
}
