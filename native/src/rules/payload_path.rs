//! One value out of a JSON payload, by its path, without building the rest.
//!
//! The payload is read once from end to end, which also finds out whether it is JSON at all. What is not on the path is
//! skipped without recursion, so that a hostile payload can nest as deep as it likes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One step into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `.name`: a member of an object.
    Member(String),
    /// `[0]`: an element of an array.
    Element(usize),
}

/// A value found in a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// The text of a JSON string.
    Text(Cow<'a, str>),
    /// A number, `true`, `false`, an object or an array, as it is written in the payload.
    Json(&'a str),
}

/// The value at the end of a path. None where there is none, where it is `null`, or where the payload is no JSON. The last
/// of several members with one name counts.
#[must_use]
pub fn find<'a>(payload: &'a [u8], path: &[Step]) -> Option<Found<'a>> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let found = Walk(path).deserialize(&mut reader).ok()??;
    reader.end().ok()?;
    let json = found.get();
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<BorrowedText<'a>>(json).ok().map(|text| Found::Text(text.0)),
        Some(b'n') | None => None,
        Some(_) => Some(Found::Json(json)),
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

struct Walk<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            <&RawValue as serde::Deserialize>::deserialize(deserializer).map(Some)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<BorrowedText<'de>>()? {
            match self.0.split_first() {
                Some((Step::Member(wanted), rest)) if *wanted == name.0 => found = map.next_value_seed(Walk(rest))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for number in 0.. {
            let more = match self.0.split_first() {
                Some((Step::Element(wanted), rest)) if *wanted == number => {
                    seq.next_element_seed(Walk(rest))?.map(|value| found = value).is_some()
                }
                _ => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(found)
    }

    // A path that goes on through a value that has no inside leads nowhere.
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    fn text(text: &str) -> Found<'_> {
        Found::Text(text.into())
    }

    #[test]
    fn finds_members_and_elements() {
        let payload = br#"{"a":{"b":[1,{"c":"x"},-2.50]},"t":"q\"\u00e9","n":null,"e":{},"f":false}"#;
        let path = |steps: &[Step]| find(payload, steps);
        assert_eq!(path(&[member("a"), member("b"), Step::Element(0)]), Some(Found::Json("1")));
        assert_eq!(path(&[member("a"), member("b"), Step::Element(2)]), Some(Found::Json("-2.50")));
        assert_eq!(path(&[member("a"), member("b"), Step::Element(1), member("c")]), Some(text("x")));
        assert_eq!(path(&[member("a"), member("b")]), Some(Found::Json(r#"[1,{"c":"x"},-2.50]"#)));
        assert_eq!(path(&[member("t")]), Some(text("q\"é")));
        assert_eq!(path(&[member("f")]), Some(Found::Json("false")));
        assert_eq!(path(&[member("e")]), Some(Found::Json("{}")));
    }

    #[test]
    fn finds_nothing_where_nothing_is() {
        let payload = br#"{"a":{"b":[1]},"n":null,"s":"x","i":5}"#;
        for path in [
            &[member("x")][..],
            &[member("n")],
            &[member("n"), member("x")],
            &[member("s"), member("x")],
            &[member("i"), Step::Element(0)],
            &[member("a"), Step::Element(0)],
            &[member("a"), member("b"), Step::Element(1)],
            &[member("a"), member("b"), member("length")],
            &[Step::Element(0)],
        ] {
            assert_eq!(find(payload, path), None, "{path:?}");
        }
    }

    #[test]
    fn finds_nothing_in_what_is_no_json() {
        for payload in [&b""[..], b"hello", b"{", br#"{"a":1"#, br#"{"a":1}x"#, b"\xff\xfe", br#"{"a":1,}"#, b"{'a':1}"]
        {
            assert_eq!(find(payload, &[member("a")]), None, "{payload:?}");
        }
    }

    #[test]
    fn the_last_of_equal_members_counts() {
        assert_eq!(find(br#"{"a":1,"a":2}"#, &[member("a")]), Some(Found::Json("2")));
    }

    #[test]
    fn survives_nesting_of_any_depth() {
        let deep = format!("{{\"x\":{}1{},\"a\":7}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(find(deep.as_bytes(), &[member("a")]), Some(Found::Json("7")));
        let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert!(matches!(find(objects.as_bytes(), &[member("a")]), Some(Found::Json(_))));
        let open = "[".repeat(100_000);
        assert_eq!(find(open.as_bytes(), &[Step::Element(0)]), None);
    }
}
