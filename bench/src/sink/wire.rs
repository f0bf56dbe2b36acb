//! Kafka's encoding of numbers, strings and arrays, as it was before its flexible versions.

use thiserror::Error;

/// A request that ends too early, or has a length that cannot be.
#[derive(Debug, Error)]
#[error("a malformed request")]
pub struct Malformed;

/// What is left of a request.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

macro_rules! integers {
    ($($integer:ident),*) => {
        impl Reader<'_> {
            $(
                pub fn $integer(&mut self) -> Result<$integer, Malformed> {
                    let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
                    self.0 = rest;
                    Ok($integer::from_be_bytes(*bytes))
                }
            )*
        }

        impl Reply<'_> {
            $(
                pub fn $integer(&mut self, number: $integer) -> &mut Self {
                    self.0.extend_from_slice(&number.to_be_bytes());
                    self
                }
            )*
        }
    };
}

integers!(i8, i16, i32, i64);

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        self.nullable_string()?.ok_or(Malformed)
    }

    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let Some(length) = length(self.i16()?.into())? else { return Ok(None) };
        std::str::from_utf8(self.take(length)?).map(Some).map_err(|_| Malformed)
    }

    /// Null is as good as none.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = length(self.i32()?)?.unwrap_or(0);
        self.take(length)
    }

    /// How many elements follow; null is as good as none.
    pub fn array(&mut self) -> Result<usize, Malformed> {
        Ok(self.nullable_array()?.unwrap_or(0))
    }

    pub fn nullable_array(&mut self) -> Result<Option<usize>, Malformed> {
        let count = length(self.i32()?)?;
        // No element takes less than a byte: nobody makes us loop for nothing.
        if count.is_some_and(|count| count > self.0.len()) { Err(Malformed) } else { Ok(count) }
    }
}

/// -1 stands for null.
fn length(number: i32) -> Result<Option<usize>, Malformed> {
    if number == -1 { Ok(None) } else { usize::try_from(number).map(Some).map_err(|_| Malformed) }
}

/// An answer that grows.
#[derive(Debug)]
pub struct Reply<'a>(pub &'a mut Vec<u8>);

impl Reply<'_> {
    pub fn bool(&mut self, is: bool) -> &mut Self {
        self.i8(is.into())
    }

    pub fn string(&mut self, text: &str) -> &mut Self {
        // All that is sent came in as a string, or is short.
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        self.i16(length).0.extend(text.bytes().take(usize::from(length.unsigned_abs())));
        self
    }

    pub fn null_string(&mut self) -> &mut Self {
        self.i16(-1)
    }

    /// So many elements follow.
    pub fn array(&mut self, count: usize) -> &mut Self {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    pub fn null_array(&mut self) -> &mut Self {
        self.i32(-1)
    }
}
