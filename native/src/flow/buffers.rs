//! The buffers of a thread, in which it makes one record after the other.

use std::cell::RefCell;

/// A thread's buffers keep up to this much; what a rare large record needed beyond it is given back.
const KEPT_BUFFERS: usize = 1 << 20;

/// The buffers that a record is made in, used again for the next one.
#[derive(Default)]
pub struct Buffers {
    /// The event as JSON, made when the first rule asks for it.
    pub json: Vec<u8>,
    /// The value of another format.
    pub value: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
    /// The topic, where a template makes it.
    pub topic: Vec<u8>,
}

impl Buffers {
    fn capacity(&self) -> usize {
        self.json.capacity() + self.value.capacity() + self.key.capacity() + self.topic.capacity()
    }
}

/// Runs `make` with the thread's buffers, without an event in them.
pub fn with_buffers<T>(make: impl FnOnce(&mut Buffers) -> T) -> T {
    thread_local! {
        static BUFFERS: RefCell<Buffers> = RefCell::default();
    }
    // Taken out and put back, so that nothing can find them borrowed; a thread being torn down has none to keep.
    let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
    buffers.json.clear();
    let result = make(&mut buffers);
    if buffers.capacity() <= KEPT_BUFFERS {
        BUFFERS.try_with(|kept| kept.replace(buffers)).ok();
    }
    result
}
