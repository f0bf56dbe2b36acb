//! The value of a field, for templates and headers.

use std::borrow::Cow;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Text, or bytes that were meant to be.
    Text(Cow<'a, [u8]>),
    /// A number.
    Int(i64),
    /// A flag: `true` or `false`.
    Bool(bool),
    /// JSON text that is no string: found inside a payload, or made of several values.
    Json(Cow<'a, str>),
    /// The event has the attribute, but nothing in it: an anonymous client's user name.
    Nothing,
}
