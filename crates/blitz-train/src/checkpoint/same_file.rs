//! Whether a file that was opened is the one that has its path.

use std::fs::File;
use std::io;
use std::path::Path;

/// Whether `opened` is what is at `path` now. Elsewhere than on Unix nobody knows.
#[cfg(unix)]
pub(crate) fn is_same(opened: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let (opened, there) = (opened.metadata()?, path.metadata()?);
    Ok((opened.dev(), opened.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
pub(crate) fn is_same(_opened: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}
