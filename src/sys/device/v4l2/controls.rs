//! A camera's controls: listed, checked against their ranges, set, read back, and set again.

use super::error::CameraErrorKind;
use super::ioctl::{
    get_control, menu_item, query_control, set_control, text, v4l2_control, v4l2_query_ext_ctrl,
    zeroed,
};
use crate::capture::SourceError;
use crate::profile::{ControlSetting, ControlValue};
use std::fmt;
use std::os::fd::OwnedFd;
use v4l::v4l_sys;

/// Controls asked of a camera at most: a driver that never says "no more" is not followed forever.
const MOST: usize = 512;
/// Items asked of a menu at most.
const MOST_ITEMS: i64 = 256;

/// A control that a camera has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedControl {
    id: u32,
    /// V4L2's name in small letters, with `-` between words: `exposure-time-absolute`.
    pub name: String,
    /// Smallest value.
    pub least: i64,
    /// Largest value.
    pub most: i64,
    /// From one value to the next, at least 1.
    pub step: i64,
    /// The driver's own value.
    pub default_value: i64,
    /// The value now; `None` where the driver does not say.
    pub value: Option<i64>,
    /// Items of a menu: value and name.
    pub items: Vec<(i64, String)>,
}

impl fmt::Display for OfferedControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        self.range(f)?;
        if let Some(value) = self.value {
            write!(f, ", now {value}")?;
        }
        write!(f, " (default {})", self.default_value)
    }
}

impl OfferedControl {
    fn range(&self, f: &mut impl fmt::Write) -> fmt::Result {
        if self.items.is_empty() {
            write!(f, "{} to {}", self.least, self.most)?;
            if self.step > 1 {
                write!(f, " in steps of {}", self.step)?;
            }
            return Ok(());
        }
        for (index, (value, name)) in self.items.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{value} \"{name}\"")?;
        }
        Ok(())
    }

    /// The value that a profile means; `None` when it is none of this control's.
    fn value_of(&self, wanted: &ControlValue) -> Option<i64> {
        let value = match wanted {
            ControlValue::Number(number) => *number,
            ControlValue::Item(name) => self.items.iter().find(|(_, item)| item == name)?.0,
        };
        let whole = (self.least..=self.most).contains(&value)
            && value.checked_sub(self.least)? % self.step.max(1) == 0;
        let there = self.items.is_empty() || self.items.iter().any(|(item, _)| *item == value);
        (whole && there).then_some(value)
    }
}

/// A control and the value that it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    id: u32,
    value: i32,
}

/// V4L2's name of a control as a profile writes it.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            out.push(character.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// Every control of a single number that can be set.
pub(super) fn controls(fd: &OwnedFd) -> Vec<OfferedControl> {
    let kinds = [
        v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER,
        v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_BOOLEAN,
        v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU,
        v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU,
        v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_BITMASK,
    ];
    let closed = v4l_sys::V4L2_CTRL_FLAG_DISABLED | v4l_sys::V4L2_CTRL_FLAG_READ_ONLY;
    let mut found = Vec::new();
    let mut last = 0;
    for _ in 0..MOST {
        let mut raw: v4l2_query_ext_ctrl = zeroed();
        raw.id = last | v4l_sys::V4L2_CTRL_FLAG_NEXT_CTRL;
        if query_control(fd, &mut raw).is_err() || raw.id <= last {
            break;
        }
        last = raw.id;
        if raw.flags & closed != 0 || !kinds.contains(&raw.type_) {
            continue;
        }
        let name = raw.name.map(|letter| letter.to_ne_bytes()[0]);
        let menu = raw.type_ == v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU
            || raw.type_ == v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU;
        let numbers = raw.type_ == v4l_sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU;
        found.push(OfferedControl {
            id: raw.id,
            name: kebab(&text(&name)),
            least: raw.minimum,
            most: raw.maximum,
            step: i64::try_from(raw.step).unwrap_or(i64::MAX).max(1),
            default_value: raw.default_value,
            value: read(fd, raw.id).ok().map(i64::from),
            items: (raw.minimum..=raw.maximum.min(raw.minimum.saturating_add(MOST_ITEMS)))
                .filter(|_| menu)
                .filter_map(|index| {
                    let item = menu_item(fd, raw.id, u32::try_from(index).ok()?, numbers)?;
                    Some((index, item))
                })
                .collect(),
        });
    }
    found
}

fn read(fd: &OwnedFd, id: u32) -> Result<i32, SourceError> {
    let mut raw = v4l2_control { id, value: 0 };
    get_control(fd, &mut raw)?;
    Ok(raw.value)
}

/// Whether the camera is set to make fewer frames where light is dim: it says so itself, or exposes by
/// itself and does not say.
pub(super) fn slows_in_dim_light(fd: &OwnedFd) -> bool {
    judge_exposure(
        read(fd, v4l_sys::V4L2_CID_EXPOSURE_AUTO_PRIORITY).ok(),
        read(fd, v4l_sys::V4L2_CID_EXPOSURE_AUTO).ok(),
    )
}

/// From the values of `exposure-dynamic-framerate` and `auto-exposure`, as far as there are such.
fn judge_exposure(dynamic: Option<i32>, automatic: Option<i32>) -> bool {
    // The camera chooses the time of exposure itself.
    let chooses = automatic.is_some_and(|mode| {
        let mode = mode.cast_unsigned();
        mode == v4l_sys::v4l2_exposure_auto_type_V4L2_EXPOSURE_AUTO
            || mode == v4l_sys::v4l2_exposure_auto_type_V4L2_EXPOSURE_APERTURE_PRIORITY
    });
    match dynamic {
        Some(0) => false,
        Some(_) => automatic.is_none() || chooses,
        None => chooses,
    }
}

/// Sets what a profile asks for, and reads each value back. Switches and menus come first: an automatic
/// has to be off before its number counts.
pub(super) fn agree(
    fd: &OwnedFd,
    wanted: &[ControlSetting],
) -> Result<Box<[Setting]>, CameraErrorKind> {
    let offered = if wanted.is_empty() {
        Vec::new()
    } else {
        controls(fd)
    };
    let is_number = |wanted: &&ControlSetting| {
        let control = offered.iter().find(|control| control.name == wanted.name);
        control.is_some_and(|control| control.items.is_empty() && control.most > 1)
    };
    let mut wanted: Vec<&ControlSetting> = wanted.iter().collect();
    wanted.sort_by_key(is_number);
    let mut settings = Vec::new();
    for ControlSetting { name, value } in wanted {
        let refuse = |found: String, expected: String| CameraErrorKind::Control {
            name: name.clone(),
            found,
            expected,
        };
        let Some(control) = offered.iter().find(|control| control.name == *name) else {
            let names: Vec<&str> = offered.iter().map(|c| c.name.as_str()).collect();
            return Err(refuse(
                "no such control".to_owned(),
                format!("one of {}", names.join(", ")),
            ));
        };
        let mut range = String::new();
        // Writing to a string does not fail.
        let _ = control.range(&mut range);
        let number = control.value_of(value).and_then(|v| i32::try_from(v).ok());
        let Some(number) = number else {
            return Err(refuse(value.to_string(), range));
        };
        let setting = Setting {
            id: control.id,
            value: number,
        };
        match apply(fd, &[setting]).and_then(|()| read(fd, control.id)) {
            Ok(given) if given == number => settings.push(setting),
            Ok(given) => {
                let found = format!("{given} after {number} was set");
                return Err(refuse(found, "the driver to take it".to_owned()));
            }
            Err(error) => {
                let found = format!("that the driver refuses {number} ({error})");
                return Err(refuse(found, range));
            }
        }
    }
    Ok(settings.into())
}

/// Sets every control. Does not allocate.
pub(super) fn apply(fd: &OwnedFd, settings: &[Setting]) -> Result<(), SourceError> {
    for Setting { id, value } in settings {
        let mut raw = v4l2_control {
            id: *id,
            value: *value,
        };
        set_control(fd, &mut raw)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_v4l2_in_small_letters_with_dashes() {
        assert_eq!(kebab("Exposure Time, Absolute"), "exposure-time-absolute");
        assert_eq!(kebab("White Balance, Automatic"), "white-balance-automatic");
        assert_eq!(kebab(" Gain (dB) "), "gain-db");
        assert_eq!(kebab(""), "");
    }

    #[test]
    fn a_camera_that_exposes_by_itself_may_slow_down_unless_it_is_told_not_to() {
        // 0 automatic, 1 manual, 2 shutter priority, 3 aperture priority.
        assert!(!judge_exposure(None, None));
        assert_eq!(
            [0, 1, 2, 3].map(|mode| judge_exposure(None, Some(mode))),
            [true, false, false, true]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|mode| judge_exposure(Some(0), Some(mode))),
            [false; 4]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|mode| judge_exposure(Some(1), Some(mode))),
            [true, false, false, true]
        );
        assert!(judge_exposure(Some(1), None));
    }

    #[test]
    fn a_value_is_one_of_the_controls_own() {
        let control = OfferedControl {
            id: 1,
            name: "gain".to_owned(),
            least: 10,
            most: 20,
            step: 5,
            default_value: 10,
            value: Some(15),
            items: vec![],
        };
        let number = |value| control.value_of(&ControlValue::Number(value));
        assert_eq!(
            [9, 10, 12, 15, 20, 25].map(number),
            [None, Some(10), None, Some(15), Some(20), None]
        );
        assert_eq!(number(i64::MIN), None);
        assert_eq!(control.value_of(&ControlValue::Item("on".to_owned())), None);
        assert_eq!(
            control.to_string(),
            "gain 10 to 20 in steps of 5, now 15 (default 10)"
        );
        let menu = OfferedControl {
            least: 0,
            most: 3,
            step: 1,
            items: vec![(1, "50 Hz".to_owned()), (3, "Auto".to_owned())],
            ..control
        };
        assert_eq!(
            menu.value_of(&ControlValue::Item("Auto".to_owned())),
            Some(3)
        );
        assert_eq!(menu.value_of(&ControlValue::Number(1)), Some(1));
        assert_eq!(menu.value_of(&ControlValue::Number(2)), None);
        assert!(menu.to_string().contains("1 \"50 Hz\", 3 \"Auto\""));
    }
}
