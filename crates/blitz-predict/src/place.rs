//! Files that are whole or not there.

use std::fs;
use std::io;
use std::path::Path;

/// Has `write` write a file beside `path`, with the same extension, and puts it in the place of `path`. A program that is killed leaves the file
/// before, or none; an error leaves nothing of the new one.
pub(crate) fn in_place<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let part = format!("{}.part", std::process::id());
    let part = path.with_extension(match path.extension() {
        Some(extension) => format!("{part}.{}", extension.to_string_lossy()),
        None => part,
    });
    let placed = write(&part).and_then(|()| Ok(fs::rename(&part, path)?));
    if placed.is_err() {
        // The first error says why.
        let _ = fs::remove_file(&part);
    }
    placed
}
