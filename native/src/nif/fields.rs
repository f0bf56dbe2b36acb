//! The elements of a tuple, one after the other.
//!
//! rustler's own readers of records copy all elements into a vector first: an allocation for each event.

use rustler::sys::{ErlNifTerm, c_int, enif_get_tuple};
use rustler::{Atom, Binary, Decoder, Env, Term};

/// What is left of a tuple.
pub struct Fields<'a> {
    env: Env<'a>,
    left: std::slice::Iter<'a, ErlNifTerm>,
}

impl<'a> Fields<'a> {
    /// The first element of a tuple, an atom, and what comes after it.
    pub fn tagged(term: Term<'a>) -> Option<(Atom, Self)> {
        let env = term.get_env();
        let (mut arity, mut elements): (c_int, *const ErlNifTerm) = (0, std::ptr::null());
        // SAFETY: the term is one of its environment, and both pointers are to live variables of the types that the call writes.
        let is_tuple = unsafe { enif_get_tuple(env.as_c_arg(), term.as_c_arg(), &raw mut arity, &raw mut elements) };
        if is_tuple == 0 || elements.is_null() {
            return None;
        }
        // SAFETY: the call has succeeded: there are so many elements, which live, and stay as they are, as long as the environment
        // of the term does: for 'a.
        let elements = unsafe { std::slice::from_raw_parts(elements, usize::try_from(arity).ok()?) };
        let mut fields = Self { env, left: elements.iter() };
        Some((fields.next()?, fields))
    }

    /// The next element, where it is of this type.
    pub fn next<T: Decoder<'a>>(&mut self) -> Option<T> {
        let element = *self.left.next()?;
        // SAFETY: an element of a term of this environment is one of its terms.
        unsafe { Term::new(self.env, element) }.decode().ok()
    }

    /// The next element, a binary.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        self.next::<Binary<'a>>().map(|binary| binary.as_slice())
    }

    /// The next element: a binary, or `undefined`.
    #[allow(clippy::option_option, reason = "none where it is neither")]
    pub fn optional_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        Some(self.optional::<Binary<'a>>()?.map(|binary| binary.as_slice()))
    }

    /// The next element: of this type, or `undefined`.
    #[allow(clippy::option_option, reason = "none where it is neither")]
    pub fn optional<T: Decoder<'a>>(&mut self) -> Option<Option<T>> {
        let element = self.next::<Term<'a>>()?;
        match element.decode::<T>() {
            Ok(value) => Some(Some(value)),
            Err(_) => (element.decode::<Atom>().ok()? == rustler::types::atom::undefined()).then_some(None),
        }
    }

    /// The next element, a number of this type. rustler's own decoders of small numbers cut larger ones: 257 would be 1.
    pub fn number<T: TryFrom<u32>>(&mut self) -> Option<T> {
        T::try_from(self.next::<u32>()?).ok()
    }

    /// The next element: a number of this type, or `undefined`.
    #[allow(clippy::option_option, reason = "none where it is neither")]
    pub fn optional_number<T: TryFrom<u32>>(&mut self) -> Option<Option<T>> {
        match self.optional::<u32>()? {
            Some(number) => T::try_from(number).ok().map(Some),
            None => Some(None),
        }
    }

    /// The next element, which must be the last.
    pub fn last<T: Decoder<'a>>(&mut self) -> Option<T> {
        let last = self.next()?;
        self.end()?;
        Some(last)
    }

    /// Whether nothing is left.
    pub fn end(&self) -> Option<()> {
        self.left.as_slice().is_empty().then_some(())
    }
}
