//! How the VM takes this library in: for the first time, and again.
//!
//! rustler's own `init!` knows the first time only: without an `upgrade` function the VM refuses to load the module's code a
//! second time. EMQX 5 does just that at each start of a plugin, also where it was only stopped in between.
//!
//! Loaded again from the same file it is the same library, with its producer and counters, whether open or not. From another file,
//! as after an upgrade of the plugin, it is another library, with statics of its own: it takes over only when the one before it
//! has closed its producer, and is refused before.

use std::ffi::{c_int, c_void};

use rustler::Nif;
use rustler::codegen_runtime::{ErlNifEntry, internal_write_symbols, inventory};
use rustler::sys::{ErlNifEnv, ErlNifTerm};

use super::HANDLE;

/// What the VM shows each later library of the one before it. Its layout stays for good: libraries of other versions read it.
#[repr(C)]
struct Face {
    is_open: extern "C" fn() -> bool,
}

static FACE: Face = Face { is_open };

extern "C" fn is_open() -> bool {
    HANDLE.is_open()
}

/// The VM looks for a function of this name.
// SAFETY: no other function of this name is in the library: rustler's `init!`, which would make one, is not used.
#[unsafe(no_mangle)]
extern "C" fn nif_init() -> *const ErlNifEntry {
    // SAFETY: rustler's own first step, here as there: called by the VM, in whose process the symbols are that it looks up.
    unsafe { internal_write_symbols() };
    let functions: Vec<_> = inventory::iter::<Nif>().map(Nif::get_def).collect();
    let mut entry = ErlNifEntry::new(c"emq_plugin_kafka_nif", functions.leak(), load);
    entry.upgrade = Some(upgrade);
    Box::leak(Box::new(entry))
}

extern "C" fn load(_env: *mut ErlNifEnv, data: *mut *mut c_void, _load_info: ErlNifTerm) -> c_int {
    // SAFETY: the VM hands over a pointer to the word that it keeps for this library.
    unsafe { *data = own_face().cast() };
    0
}

/// 0 is yes.
extern "C" fn upgrade(
    env: *mut ErlNifEnv,
    data: *mut *mut c_void,
    old_data: *mut *mut c_void,
    load_info: ErlNifTerm,
) -> c_int {
    // SAFETY: the VM hands over a pointer to the word that it keeps for the library before this one.
    let old: *const Face = unsafe { *old_data }.cast_const().cast();
    if old.is_null() {
        // Of a version that did not show itself, and may be open.
        return 1;
    }
    // SAFETY: only libraries of this plugin are loaded for its module; each that sets the word sets it to such a static, which lives
    // as long as the process: the libraries are linked with `nodelete`.
    let is_open = !std::ptr::eq(old, own_face()) && unsafe { ((*old).is_open)() };
    if is_open { 1 } else { load(env, data, load_info) }
}

const fn own_face() -> *mut Face {
    // Never written through: it is a pointer to mutable memory only because the VM's word is one.
    (&raw const FACE).cast_mut()
}
