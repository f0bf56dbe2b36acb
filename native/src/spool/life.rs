//! Lives of the plugin with one directory: orders of records count from zero in each.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::spool::log::OpenError;

/// Orders of records count from zero in each life of the VM; above them stands the number of the life.
const LIFE_SHIFT: u32 = 44;

/// The place of a record in the order of all records that the directory has seen.
#[must_use]
pub const fn order(life: u64, order: u64) -> u64 {
    (life << LIFE_SHIFT) + order
}

const LIFE_FILE: &str = "life";

/// The number of this life of the plugin with this directory, written down before it is used.
pub fn next_life(dir: &Path) -> Result<u64, OpenError> {
    write_next(dir).map_err(|error| OpenError(format!("{}: {error}", dir.join(LIFE_FILE).display())))
}

fn write_next(dir: &Path) -> std::io::Result<u64> {
    let path = dir.join(LIFE_FILE);
    let last = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().map_err(std::io::Error::other)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let life = last + 1;
    let new = dir.join("life.new");
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    std::io::Write::write_all(&mut &file, format!("{life}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, &path)?;
    std::fs::File::open(dir)?.sync_all()?;
    Ok(life)
}
