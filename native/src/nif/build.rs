//! What this library is: for the installer, which asks before it changes anything.

use rustler::{Encoder, Env, NifResult, Term};

use crate::nif::atoms;

/// The NIF version of the feature that Cargo.toml switches on: OTP 22's.
const NIF_VERSION: &str = "2.15";

/// The version, the target it was compiled for, the NIF version that it needs, and the version of spool files that it reads.
#[rustler::nif]
fn build(env: Env<'_>) -> NifResult<Term<'_>> {
    let pairs: [(_, Term<'_>); 4] = [
        (atoms::version(), env!("CARGO_PKG_VERSION").encode(env)),
        (atoms::target(), env!("BUILD_TARGET").encode(env)),
        (atoms::nif_version(), NIF_VERSION.encode(env)),
        (atoms::spool_format(), emq_kafka_spool::FORMAT.encode(env)),
    ];
    Term::map_from_pairs(env, &pairs)
}
