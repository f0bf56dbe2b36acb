//! Values of settings: choices by their names, numbers in their ranges.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{SettingError, SpoolMode};
use crate::record::encode::PayloadEncoding;
use crate::rules::rule::{self, FormatName, OnFailure};

pub(super) const ENCODINGS: [(&str, PayloadEncoding); 3] =
    [("auto", PayloadEncoding::Auto), ("utf8", PayloadEncoding::Utf8), ("base64", PayloadEncoding::Base64)];
/// A template is a rule's own.
pub(super) const FORMATS: [(&str, FormatName); 3] = {
    let [json, raw, cloudevents, _template] = rule::FORMATS;
    [json, raw, cloudevents]
};
pub(super) const FAILURES: [(&str, Option<OnFailure>); 3] = {
    let [(goes_on, continues), (ends, disconnects)] = rule::FAILURES;
    [("auto", None), (goes_on, Some(continues)), (ends, Some(disconnects))]
};
pub(super) const SPOOLS: [(&str, SpoolMode); 3] =
    [("off", SpoolMode::Off), ("overflow", SpoolMode::Overflow), ("always", SpoolMode::Always)];
pub(super) const OVERFLOWS: [(&str, bool); 2] = [("drop_new", false), ("block", true)];

pub(super) fn name_of<T: Copy + PartialEq>(names: &[(&str, T)], value: T) -> String {
    names.iter().find(|(_, named)| *named == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The choice of this name.
pub(super) fn one_of_names<T: Copy>(choices: &[(&str, T)], name: Option<&str>) -> Option<T> {
    choices.iter().find(|(known, _)| Some(*known) == name).map(|(_, choice)| *choice)
}

pub(super) fn named<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T, SettingError> {
    one_of_names(choices, Some(value)).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        not_one_of(key, value, &names)
    })
}

pub(super) fn one_of(key: &str, value: &str, choices: &[&str]) -> Result<String, SettingError> {
    if choices.contains(&value) { Ok(value.to_owned()) } else { Err(not_one_of(key, value, choices)) }
}

fn not_one_of(key: &str, value: &str, choices: &[&str]) -> SettingError {
    SettingError::new(key, format!("expected one of {}, got {value:?}", choices.join(", ")))
}

pub(super) fn number<T: TryFrom<u64>>(
    key: &str,
    value: &str,
    range: &RangeInclusive<u64>,
    what: &str,
) -> Result<T, SettingError> {
    u64::from_str(value)
        .ok()
        .filter(|number| range.contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            SettingError::new(key, format!("expected {what} from {from} to {to}, got {value:?}"))
        })
}

pub(super) fn milliseconds(key: &str, value: &str, range: &RangeInclusive<u64>) -> Result<Duration, SettingError> {
    number(key, value, range, "a duration in milliseconds").map(Duration::from_millis)
}
