//! The files that a report points to, of which none is worth the report.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::LeftOut;

/// The path of a file that `write` makes there, such as a picture; or none if it can't, and then the file is among what
/// is left out.
pub fn written<E: Display>(
    path: PathBuf,
    seed: u64,
    left_out: &mut Vec<LeftOut>,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Option<PathBuf> {
    match write(&path) {
        Ok(()) => Some(path),
        Err(error) => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            left_out.push(LeftOut::new(name.display().to_string(), seed, error));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_left_out_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut left_out = Vec::new();
        let mut made = |name: &str| {
            let path = folder.path().join(name);
            written(path, 3, &mut left_out, |path| fs::write(path, "a picture"))
        };
        let there = made("bands.png").unwrap();
        assert_eq!(fs::read_to_string(there).unwrap(), "a picture");
        assert_eq!(made("nowhere/bands.png"), None);
        assert_eq!((left_out.len(), left_out[0].seed), (1, 3));
        assert_eq!(left_out[0].name, "bands.png");
        assert!(left_out[0].reason.contains("os error 2"), "{left_out:?}");
    }
}
