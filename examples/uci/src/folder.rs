//! The folder of a run: a file for each finished split, so that a run that was stopped goes on where it was.

use std::fs;
use std::path::{Path, PathBuf};

use example_support::methods::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::study::Scores;

/// What the splits of a folder have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The method.
    pub method: Method,
    /// The seed.
    pub seed: u64,
    /// Rows of the data.
    pub rows: usize,
    /// The sum of the targets, which tells data sets of one size apart; as text, since JSON's numbers come back rounded.
    pub target_sum: String,
}

/// The folder of one run.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it, or goes on with one of the same run.
    pub fn open(path: &Path, run: &Run) -> Result<Self, RunError> {
        fs::create_dir_all(path).map_err(|reason| file_error(path, reason))?;
        let settings = path.join("run.json");
        if settings.exists() {
            let there: Run = read(&settings)?;
            if there != *run {
                return Err(RunError::OtherRun { path: path.into() });
            }
        } else {
            write(&settings, run)?;
        }
        Ok(Self(path.into()))
    }

    fn split(&self, index: usize) -> PathBuf {
        self.0.join(format!("split-{index}.json"))
    }

    /// The scores of a split that was finished before.
    pub fn finished(&self, index: usize) -> Result<Option<Scores>, RunError> {
        let path = self.split(index);
        path.exists().then(|| read(&path)).transpose()
    }

    /// Keeps the scores of a split.
    pub fn keep(&self, scores: &Scores) -> Result<(), RunError> {
        write(&self.split(scores.split), scores)
    }
}

fn file_error(path: &Path, reason: impl std::fmt::Display) -> RunError {
    RunError::File {
        path: path.into(),
        reason: reason.to_string(),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = fs::read_to_string(path).map_err(|reason| file_error(path, reason))?;
    serde_json::from_str(&text).map_err(|reason| file_error(path, reason))
}

/// Under another name first: a file that is there is whole.
fn write(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(value).map_err(|reason| file_error(path, reason))?;
    let unfinished = path.with_extension("json.part");
    fs::write(&unfinished, text + "\n")
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|reason| file_error(path, reason))
}
