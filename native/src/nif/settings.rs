//! Settings: named, checked, shown, compared, kept without secrets.

use std::path::Path;
use std::sync::atomic::Ordering;

use rustler::{Atom, Binary, Encoder, Env, ListIterator, NifResult, Term};

use super::HANDLE;
use crate::config::kept::Kept;
use crate::config::names::{Key, Naming};
use crate::config::{Settings, Shown};
use crate::nif::atoms;

/// The settings in force: `[{Key, Value, IsDefault, Mark}]`; none while nothing is sent.
#[rustler::nif(schedule = "DirtyCpu")]
fn shown(env: Env<'_>) -> Term<'_> {
    let shown = HANDLE.settings().map(|settings| settings.shown()).unwrap_or_default();
    shown_terms(env, &shown).encode(env)
}

/// The same of settings that are not in force: `{ok, Shown}`, or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn preview<'a>(env: Env<'a>, settings: ListIterator<'a>) -> NifResult<Term<'a>> {
    Ok(match parse_settings(settings)? {
        Ok(settings) => (atoms::ok(), shown_terms(env, &settings.shown())).encode(env),
        Err(problems) => (atoms::error(), problems).encode(env),
    })
}

fn shown_terms<'a>(env: Env<'a>, shown: &[Shown]) -> Vec<Term<'a>> {
    let term = |setting: &Shown| {
        let mark = setting.mark.map_or_else(|| atoms::none().encode(env), |mark| mark.encode(env));
        (setting.key.as_str(), setting.value.as_str(), setting.is_default, mark).encode(env)
    };
    shown.iter().map(term).collect()
}

/// Writes the settings in force to a file, for a start that finds wrong ones: `ok`, or `{error, Why}`.
#[rustler::nif(schedule = "DirtyIo")]
fn keep<'a>(env: Env<'a>, file: &'a str, settings: ListIterator<'a>) -> NifResult<Term<'a>> {
    let pairs = read_pairs(settings)?;
    let Some(in_force) = HANDLE.settings() else { return Ok((atoms::error(), "nothing is open").encode(env)) };
    Ok(match Kept::new(pairs, &in_force).write(Path::new(file)) {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => (atoms::error(), error.to_string()).encode(env),
    })
}

/// Reads them, with the secrets of the settings of now: `none`, `{ok, Shown, {ok, Settings} | {error, Why}}`, or `{error, Why}`.
#[rustler::nif(schedule = "DirtyIo")]
fn kept<'a>(env: Env<'a>, file: &'a str, now: ListIterator<'a>) -> NifResult<Term<'a>> {
    let now = read_pairs(now)?;
    Ok(match Kept::read(Path::new(file)) {
        Ok(None) => atoms::none().encode(env),
        Ok(Some(kept)) => {
            let settings = match kept.with_secrets_of(&now) {
                Ok(settings) => (atoms::ok(), settings).encode(env),
                Err(error) => (atoms::error(), error.to_string()).encode(env),
            };
            (atoms::ok(), kept.shown, settings).encode(env)
        }
        Err(error) => (atoms::error(), error.to_string()).encode(env),
    })
}

/// For the metrics: whether wrong settings are refused.
#[rustler::nif]
fn refused(is_so: bool) -> Atom {
    HANDLE.shared().settings_refused.store(is_so, Ordering::Relaxed);
    atoms::ok()
}

/// What texts call a setting from now on: `conf` for the key in a conf file, `hocon` for the field of EMQX 5's configuration.
#[rustler::nif]
fn name_settings(naming: Atom) -> Atom {
    let naming = if naming == atoms::hocon() { Naming::Hocon } else { Naming::Conf };
    naming.use_it();
    atoms::ok()
}

/// How the operator wrote a setting, for texts made elsewhere. Its name is that in the conf file, without the prefix.
#[rustler::nif]
fn setting_name(name: Binary<'_>) -> String {
    Key(&String::from_utf8_lossy(name.as_slice())).to_string()
}

/// Checks settings without opening anything: `{ok, [{Key, Value}]}`, secrets replaced, or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn check<'a>(env: Env<'a>, settings: ListIterator<'a>) -> NifResult<Term<'a>> {
    Ok(match parse_settings(settings)? {
        Ok(settings) => (atoms::ok(), settings.redacted()).encode(env),
        Err(problems) => (atoms::error(), problems).encode(env),
    })
}

/// Names and values.
pub fn read_pairs(terms: ListIterator<'_>) -> NifResult<Vec<(String, String)>> {
    terms.map(Term::decode).collect()
}

/// Settings, or the problem with each that cannot be used.
pub fn parse_settings(terms: ListIterator<'_>) -> NifResult<Result<Settings, Vec<String>>> {
    let pairs = read_pairs(terms)?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Settings::parse(pairs).map_err(|errors| errors.iter().map(ToString::to_string).collect()))
}
