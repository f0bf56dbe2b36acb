//! What glibc's allocator does with a batch, in a process of its own: the setting is the whole process's.
#![cfg(target_env = "gnu")]

use emq_plugin_kafka_nif::kafka::malloc::keep_batches;

/// As librdkafka allocates for a batch.
const BATCH: usize = 1 << 20;

/// How many blocks are mapped one by one, with one of this size among the living.
fn mapped_blocks() -> i32 {
    // SAFETY: a block that is allocated, not used, and freed; between the two only numbers are read.
    unsafe {
        let block = libc::malloc(BATCH);
        let blocks = libc::mallinfo().hblks;
        libc::free(block);
        blocks
    }
}

#[test]
fn a_batch_is_not_mapped_anew_each_time() {
    // As the Erlang VM leaves it.
    // SAFETY: no other thread allocates meanwhile.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10) };
    let before = mapped_blocks();
    assert!(before > 0, "glibc maps a block of a megabyte");
    keep_batches();
    assert_eq!(mapped_blocks(), before - 1);
}
