//! The attributes that only some brokers tell: `[{Name, Value}]`.

use std::collections::HashMap;

use once_cell::sync::OnceCell;
use rustler::{Atom, Binary, Env, Term};

use super::elements;
use crate::event::EventKind;
use crate::event::extra::{Attribute, Extra};
use crate::nif::atoms;

/// More attributes than this are no event's.
const MAX_ATTRIBUTES: usize = 64;

/// A packet of 1 MB, EMQX's default limit, has some 200,000 user properties at most. More than this are no packet's.
const MAX_PAIRS: usize = 1_000_000;

/// Lists beyond this take long to read: 0.1 ms.
const LONG: usize = 2_000;

/// Whether one of the lists in it is too long to be read on a normal scheduler.
pub fn is_long(extra: Term<'_>) -> bool {
    let Some(attributes) = elements(extra, MAX_ATTRIBUTES) else { return false };
    attributes.into_iter().any(|term| {
        term.decode::<(Atom, (Atom, Term<'_>))>().is_ok_and(|(_, (_, list))| elements(list, LONG).is_none())
    })
}

/// Reads the attributes of an event. None where one is not an attribute of such an event.
pub fn decode<'a>(kind: EventKind, extra: Term<'a>) -> Option<Vec<(Attribute, Extra<'a>)>> {
    elements(extra, MAX_ATTRIBUTES)?
        .into_iter()
        .map(|term| {
            let (name, value) = term.decode::<(Atom, Term<'a>)>().ok()?;
            let attribute = attribute(term.get_env(), name)?;
            let value = value_of(value)?;
            attribute.takes(kind, &value).then_some((attribute, value))
        })
        .collect()
}

/// The attribute of that name. Comparing text takes longer.
fn attribute(env: Env<'_>, name: Atom) -> Option<Attribute> {
    static BY_NAME: OnceCell<HashMap<Atom, Attribute>> = OnceCell::new();
    let by_name = BY_NAME.get_or_init(|| {
        let of_name = |(attribute, name)| Atom::from_str(env, name).ok().map(|name| (name, attribute));
        Attribute::all().filter_map(of_name).collect()
    });
    by_name.get(&name).copied()
}

fn value_of(term: Term<'_>) -> Option<Extra<'_>> {
    if let Ok(binary) = term.decode::<Binary<'_>>() {
        return Some(Extra::Text(binary.as_slice()));
    }
    if let Ok(number) = term.decode::<i64>() {
        return Some(Extra::Int(number));
    }
    if let Ok((tag, list)) = term.decode::<(Atom, Term<'_>)>() {
        let pairs = pairs(list)?;
        return match tag {
            tag if tag == atoms::pairs() => Some(Extra::Pairs(pairs)),
            tag if tag == atoms::map() => Some(Extra::Map(pairs)),
            _ => None,
        };
    }
    if let Ok(flag) = term.decode::<bool>() {
        return Some(Extra::Bool(flag));
    }
    (term.decode::<Atom>().ok()? == atoms::null()).then_some(Extra::Null)
}

fn pairs(list: Term<'_>) -> Option<Vec<(&[u8], &[u8])>> {
    elements(list, MAX_PAIRS)?
        .into_iter()
        .map(|term| {
            let (name, value) = term.decode::<(Binary<'_>, Binary<'_>)>().ok()?;
            Some((name.as_slice(), value.as_slice()))
        })
        .collect()
}
