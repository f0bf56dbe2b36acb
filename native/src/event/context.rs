//! An event on its way through the rules, with what several rules may need of it, made once.

use std::cell::OnceCell;

use crate::event::Event;
use crate::event::levels::Levels;

/// An event, where and when its hook ran.
#[derive(Debug)]
pub struct Context<'e, 'a> {
    /// The event.
    pub event: &'e Event<'a>,
    /// The name of this EMQ node.
    pub node: &'a str,
    /// When the hook ran, in ms since 1970.
    pub ts: i64,
    levels: OnceCell<Levels<'a>>,
}

impl<'e, 'a> Context<'e, 'a> {
    /// An event of the node `node`, whose hook ran at `ts`.
    #[must_use]
    pub const fn new(event: &'e Event<'a>, node: &'a str, ts: i64) -> Self {
        Self { event, node, ts, levels: OnceCell::new() }
    }

    /// The event's topic, split when it is first asked for.
    pub fn levels(&self) -> &Levels<'a> {
        self.levels.get_or_init(|| Levels::new(self.event.topic().unwrap_or_default()))
    }
}
