//! A JSON object written field by field into a buffer.
//!
//! By hand rather than through serde: this runs for every message inside the client's own process, and the escaper is its
//! largest cost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::event::escape::escape_into;

/// The name of a field, with what stands around it: `,"name":`. One copy of a constant for each field of each record.
#[derive(Debug, Clone, Copy)]
pub struct Name(pub &'static str);

/// A `Name`, of letters that need no escaping.
macro_rules! name {
    ($name:literal) => {
        $crate::event::json::Name(concat!(",\"", $name, "\":"))
    };
}
pub(crate) use name;

impl Name {
    /// The name alone.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.0.trim_start_matches(",\"").trim_end_matches("\":")
    }
}

/// A JSON object being written.
#[derive(Debug)]
pub struct Object<'b> {
    /// What was written so far.
    pub out: &'b mut Vec<u8>,
    /// What stands before the next field: `{` before the first one, `,` after.
    separator: u8,
}

impl<'b> Object<'b> {
    /// Begins an object.
    pub fn open(out: &'b mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    /// Goes on with an object that has a field already.
    pub fn resume(out: &'b mut Vec<u8>) -> Self {
        Self { out, separator: b',' }
    }

    /// Ends the object.
    pub fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    /// A name of ours, as `name!` makes it.
    fn name(&mut self, name: Name) {
        let start = self.out.len();
        self.out.extend_from_slice(name.0.as_bytes());
        if self.separator == b'{'
            && let Some(first) = self.out.get_mut(start)
        {
            *first = b'{';
            self.separator = b',';
        }
    }

    /// A name that is not ours, to be followed by a value.
    pub fn escaped_name(&mut self, name: &str) {
        self.out.push(self.separator);
        self.separator = b',';
        write_string(self.out, name);
        self.out.push(b':');
    }

    /// A name, to be followed by a value.
    pub fn key(&mut self, name: Name) {
        self.name(name);
    }

    /// Text.
    pub fn string(&mut self, name: Name, value: &str) {
        self.name(name);
        write_string(self.out, value);
    }

    /// A value of ours that needs no escaping.
    pub fn literal(&mut self, name: Name, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Text as it is, or, where it is not UTF-8, base64 and a field `<name>_encoding` that says so.
    pub fn text(&mut self, name: Name, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.string(name, text),
            Err(_) => self.base64(name, value),
        }
    }

    /// Text, or null.
    pub fn optional_text(&mut self, name: Name, value: Option<&[u8]>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    /// Bytes as base64, and a field `<name>_encoding` that says so.
    pub fn base64(&mut self, name: Name, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        let start = self.out.len();
        let length = base64::encoded_len(value.len(), true).unwrap_or(0);
        self.out.resize(start + length, 0);
        if let Some(target) = self.out.get_mut(start..) {
            // The slice has the exact length that the crate asked for, so nothing can be left out.
            let written = BASE64.encode_slice(value, target);
            debug_assert_eq!(written.ok(), Some(length));
        }
        self.out.extend_from_slice(b"\",\"");
        self.out.extend_from_slice(name.text().as_bytes());
        self.out.extend_from_slice(b"_encoding\":\"base64\"");
    }

    /// A number.
    pub fn int(&mut self, name: Name, value: i64) {
        self.name(name);
        write_int(self.out, value);
    }

    /// A number, or null.
    pub fn optional_int(&mut self, name: Name, value: Option<i64>) {
        match value {
            Some(value) => self.int(name, value),
            None => self.null(name),
        }
    }

    /// A flag as a number.
    pub fn flag(&mut self, name: Name, value: bool) {
        self.name(name);
        self.out.push(if value { b'1' } else { b'0' });
    }

    /// `true` or `false`.
    pub fn bool(&mut self, name: Name, value: bool) {
        self.name(name);
        write_bool(self.out, value);
    }

    /// `null`.
    pub fn null(&mut self, name: Name) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    /// The id of a message, as EMQ shows it.
    pub fn hex(&mut self, name: Name, id: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        write_hex(id, self.out);
        self.out.push(b'"');
    }

    /// JSON that was written before.
    pub fn raw(&mut self, name: Name, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    /// An object within the object.
    pub fn object(&mut self, name: Name, fields: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::open(self.out);
        fields(&mut inner);
        inner.close();
    }
}

/// A JSON string.
pub fn write_string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    escape_into(value, out);
    out.push(b'"');
}

/// A JSON number.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `true` or `false`.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// A message id as EMQ prints it (`emqttd_guid:to_hexstr/1`): upper case, without leading zeros.
pub fn write_hex(id: &[u8], out: &mut Vec<u8>) {
    const fn digit(value: u8) -> u8 {
        if value < 10 { b'0' + value } else { b'A' - 10 + value }
    }
    let start = out.len();
    let zeros = id.iter().take_while(|byte| **byte == 0).count();
    // An id has 16 bytes, so this is nearly always one piece.
    for (number, piece) in id.get(zeros..).unwrap_or_default().chunks(16).enumerate() {
        let mut digits = [b'0'; 32];
        for ([high, low], byte) in digits.as_chunks_mut().0.iter_mut().zip(piece) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 0xf));
        }
        let first = usize::from(number == 0 && digits.first() == Some(&b'0'));
        out.extend_from_slice(digits.get(first..2 * piece.len()).unwrap_or_default());
    }
    if out.len() == start {
        out.push(b'0');
    }
}
