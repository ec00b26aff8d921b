//! A folder for each run.

use std::io;
use std::path::{Path, PathBuf};

use blitz_train::files::put_sealed_by;
use burn::module::Module;
use serde::Serializer;

use crate::RunError;

/// The folder of one run, new and numbered: what earlier runs saved stays as it was.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the next of `base/1`, `base/2`, ...
    pub fn next(base: &Path) -> Result<Self, RunError> {
        Self::try_next(base).map_err(|error| RunError::NotWritable {
            path: base.to_path_buf(),
            reason: error.to_string(),
        })
    }

    fn try_next(base: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(base)?;
        let number = |entry: io::Result<std::fs::DirEntry>| -> Option<u64> {
            entry.ok()?.file_name().to_str()?.parse().ok()
        };
        let last = std::fs::read_dir(base)?.filter_map(number).max();
        let mut next = last.unwrap_or(0);
        // Another run may take a number between the look and the making.
        loop {
            let last = || io::Error::other(format!("there is no number after {next}"));
            next = next.checked_add(1).ok_or_else(last)?;
            let path = base.join(next.to_string());
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Saves a module as `file` in it, with its digest beside it, and returns the path.
    pub fn save<M: Module>(&self, module: M, file: &str) -> Result<PathBuf, RunError> {
        let path = self.join(file);
        let write = |part: &Path| module.save_file(part).map_err(io::Error::other);
        match put_sealed_by(&path, write) {
            Ok(()) => Ok(path),
            Err(error) => Err(RunError::NotWritable {
                path,
                reason: error.to_string(),
            }),
        }
    }

    /// The path of `file` in it.
    pub fn join(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }
}

/// Serializes a path as it is shown: serde refuses one that is not UTF-8, and a run should not fail at its last line.
pub fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// [`as_text`] of a path that there may be none of: `null` then.
pub fn as_text_if_any<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => as_text(path, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_gets_a_folder_of_its_own() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().join("runs");
        let first = RunFolder::next(&base).unwrap();
        std::fs::write(first.join("model.bpk"), "kept").unwrap();
        std::fs::create_dir(base.join("7")).unwrap();
        std::fs::create_dir(base.join("notes")).unwrap();
        let next = RunFolder::next(&base).unwrap();
        assert_eq!(next.path(), base.join("8"));
        assert_eq!(std::fs::read(first.join("model.bpk")).unwrap(), b"kept");
    }

    #[test]
    fn a_module_is_saved_with_its_digest() {
        use blitz_train::files::{Seal, read};
        use burn::nn::LinearConfig;

        let base = tempfile::tempdir().unwrap();
        let folder = RunFolder::next(base.path()).unwrap();
        let device = burn::tensor::Device::flex();
        let layer = LinearConfig::new(2, 1).init(&device);
        for _ in 0..2 {
            let path = folder.save(layer.clone(), "model.bpk").unwrap();
            assert_eq!(read(&path).unwrap().1, Seal::Whole);
        }
        std::fs::create_dir(folder.join("taken.bpk")).unwrap();
        let error = folder.save(layer, "taken.bpk").unwrap_err().to_string();
        assert!(error.contains("taken.bpk"), "{error}");
    }

    #[test]
    fn after_the_largest_number_there_is_none() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join(u64::MAX.to_string())).unwrap();
        let error = RunFolder::next(base.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("no number after 18446744073709551615"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = RunFolder::next(&file.join("runs")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write to "), "{error}");
    }
}
