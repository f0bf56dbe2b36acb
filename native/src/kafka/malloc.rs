//! The C library's allocator inside an Erlang VM.
//!
//! glibc asks the kernel for each block beyond a threshold, and gives it back when it is freed. In most processes the threshold
//! grows with the blocks that it sees freed. The Erlang VM sets it once and for all, to 128 KB, so that the three blocks that
//! librdkafka needs for each batch, three megabytes together at its usual batch size, are mapped, faulted in page by page and unmapped
//! again for every one: a tenth to a sixth of all CPU that a record costs, measured by `perf`. The VM's own memory comes from
//! elsewhere; this is about what C code in its process allocates.

/// Blocks below this size stay with the process. Above what a batch needs; glibc itself grows up to 32 MB.
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD: libc::c_int = 4 << 20;

/// How much free memory at the end of an arena the process keeps: twice the above, as glibc itself has it.
#[cfg(target_env = "gnu")]
const TRIM_THRESHOLD: libc::c_int = 2 * MMAP_THRESHOLD;

/// Who sets one of these has thought of it: glibc read them when the process started.
#[cfg(target_env = "gnu")]
const SET_BY_OPERATOR: [&str; 3] = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"];

/// Lets the process keep the blocks that librdkafka uses again and again.
#[cfg(target_env = "gnu")]
pub fn keep_batches() {
    if SET_BY_OPERATOR.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    // SAFETY: mallopt takes the lock of malloc's main arena and stores one aligned word. Other threads only compare sizes with
    // that word, and either value, the one before or the one after, is right for any block.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
}

/// Other C libraries have no such threshold to set.
#[cfg(not(target_env = "gnu"))]
pub const fn keep_batches() {}
