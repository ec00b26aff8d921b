//! The folder that keeps a run: its settings, checkpoints, logs, model and plot.

use std::io;
use std::path::{Path, PathBuf};

use blitz_train::files::{name_of_part, put};
use blitz_train::{Checkpoints, FolderClaim, MetricFiles};
use example_support::say;

use crate::config::RunConfig;
use crate::error::RunError;

const CONFIG: &str = "config.json";
/// The setting with the digest of the rows.
const ROWS: &str = "rows";
const MODEL: &str = "model.bpk";
const MODEL_DIGEST: &str = "model.bpk.sha256";
const PLOT: &str = "intervals.png";
// Burn's own names.
const CHECKPOINTS: &str = "checkpoint";
const TRAIN: &str = "train";
const VALID: &str = "valid";
const LOG: &str = "experiment.log";

/// What belongs to a run, and where an earlier run of the folder is put aside.
const CONTENTS: [&str; 8] = [
    CONFIG,
    MODEL,
    MODEL_DIGEST,
    PLOT,
    CHECKPOINTS,
    TRAIN,
    VALID,
    LOG,
];
const PREVIOUS: &str = "previous";
/// Where it is put together: a program that is killed on the way leaves the rest of the run where it was, and this for
/// the next to finish.
const BECOMING_PREVIOUS: &str = "previous.part";

/// A run's folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the trained model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Where the plot goes.
    pub fn plot(&self) -> PathBuf {
        self.path.join(PLOT)
    }

    /// Keeps another program out of the folder, made if need be, until what is returned is dropped or this program
    /// ends.
    ///
    /// Two trainings in one folder would move each other's files away.
    pub fn claim(&self, make: bool) -> Result<FolderClaim, RunError> {
        if make {
            self.writable(|| std::fs::create_dir_all(&self.path))?;
        }
        FolderClaim::take(&self.path).map_err(|_| RunError::InUse {
            path: self.path.clone(),
        })
    }

    /// Readies the folder for a new training.
    ///
    /// What a training left that got as far as a checkpoint or a model is moved to `previous`, in the place of what was
    /// there; so nothing is taken for the new training's, and a training that fails at once costs nothing. Files of
    /// these names that no training left are not touched: they are an error. So is a file of another name where
    /// something is to be removed. What a run that was killed had not put in its place is removed.
    pub fn begin(&self, config: &RunConfig) -> Result<(), RunError> {
        self.check_whose()?;
        let was_put_aside = self.path.join(BECOMING_PREVIOUS).is_dir();
        let is_put_aside =
            was_put_aside || self.last_checkpoint().is_some() || self.model().is_file();
        self.check_removed(if is_put_aside { PREVIOUS } else { CHECKPOINTS })?;
        self.writable(|| {
            std::fs::create_dir_all(&self.path)?;
            self.remove_parts()?;
            if is_put_aside {
                self.put_aside()?;
            } else if self.checkpoints().folder().is_dir() {
                std::fs::remove_dir_all(self.checkpoints().folder())?;
            }
            // First of all, since a run is known by it.
            self.save_settings(config)?;
            std::fs::create_dir_all(self.checkpoints().folder())?;
            // Burn makes this one itself, and panics where it can't.
            let log = self.path.join(LOG);
            std::fs::File::options()
                .append(true)
                .create(true)
                .open(log)?;
            Ok(())
        })
    }

    /// An error if something in the folder has a name of this program's and is not of a run of it.
    fn check_whose(&self) -> Result<(), RunError> {
        let at = |name: &str| self.path.join(name);
        // The settings are what is put aside first.
        let is_ours = is_of_a_run(&self.path) || is_of_a_run(&at(BECOMING_PREVIOUS));
        let contents: &[&str] = if is_ours { &[] } else { &CONTENTS };
        let previous: &[&str] = if is_of_a_run(&at(PREVIOUS)) {
            &[]
        } else {
            &[PREVIOUS]
        };
        let mut not_ours = contents.iter().chain(previous);
        match not_ours.find(|name| at(name).exists()) {
            None => Ok(()),
            Some(name) => Err(RunError::Foreign {
                path: self.path.clone(),
                name: (*name).into(),
            }),
        }
    }

    /// An error if a folder in this one that is to be removed has a file that no training left there.
    fn check_removed(&self, name: &str) -> Result<(), RunError> {
        // Names count from the folder of the run that it is of.
        let within = if name == PREVIOUS { "" } else { name };
        let folder = self.path.join(name);
        match self.writable(|| foreign_file(&folder, Path::new(within)))? {
            None => Ok(()),
            Some(file) => Err(RunError::Foreign {
                path: self.path.clone(),
                name: if name == PREVIOUS {
                    Path::new(PREVIOUS).join(file)
                } else {
                    file
                },
            }),
        }
    }

    /// The epoch to go on from: that of the last checkpoint that is whole, if the folder's training had the settings of
    /// `config`. It may have planned fewer epochs: the longer plan takes the place of the shorter one.
    pub fn resume(&self, config: &RunConfig) -> Result<usize, RunError> {
        let checkpoints = self.checkpoints();
        let nothing = || RunError::NoCheckpoint {
            path: self.path.clone(),
        };
        let last = self.last_checkpoint().ok_or_else(nothing)?;
        let Some(planned) = self.epochs_with_settings(config)? else {
            return Err(RunError::OtherSettings {
                path: self.path.clone(),
            });
        };
        let epoch = checkpoints.last_whole()?.ok_or_else(nothing)?;
        if epoch < last
            && let Err(error) = checkpoints.check(last)
        {
            say!("{error}: going on from epoch {epoch} instead");
        }
        if planned < config.epochs {
            self.writable(|| self.save_settings(config))?;
        }
        Ok(epoch)
    }

    /// The last epoch whose model, optimizer and learning rate were all saved.
    pub fn last_checkpoint(&self) -> Option<usize> {
        self.checkpoints().epochs().ok()?.pop()
    }

    /// The values of its metrics.
    pub fn metrics(&self) -> MetricFiles {
        MetricFiles::new(&self.path)
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join(CHECKPOINTS))
    }

    /// How many epochs were planned, if the settings and the rows were otherwise those of `config` and the epochs no
    /// more than its.
    ///
    /// Settings that were saved before rows had a digest are compared without it, which is said. So is it where there
    /// are none: whoever removed them answers for these.
    fn epochs_with_settings(&self, config: &RunConfig) -> Result<Option<usize>, RunError> {
        let file = self.path.join(CONFIG);
        let unreadable = |reason: String| RunError::Config {
            path: file.clone(),
            reason,
        };
        let saved = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                say!(
                    "there is no {}: whether the checkpoints are of these settings and rows is not known",
                    file.display()
                );
                let last = self.last_checkpoint().unwrap_or(0);
                return Ok((last <= config.epochs).then_some(0));
            }
            saved => saved.map_err(|error| unreadable(error.to_string()))?,
        };
        // As JSON values: a float need not survive a round trip to the last bit, but the same text parses alike.
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text);
        let mut saved = parse(&saved).map_err(|error| unreadable(error.to_string()))?;
        let Some(epochs) = saved.get_mut("epochs") else {
            return Ok(None);
        };
        let planned = epochs.as_u64().map_or(usize::MAX, |epochs| epochs as usize);
        *epochs = config.epochs.into();
        if let Some(saved) = saved.as_object_mut()
            && !saved.contains_key(ROWS)
        {
            say!(
                "{} is of a version that kept no digest of the rows: whether these are the same is not known",
                file.display()
            );
            saved.insert(ROWS.into(), config.rows.clone().into());
        }
        let same = parse(&config.to_string()).ok() == Some(saved);
        Ok((same && planned <= config.epochs).then_some(planned))
    }

    /// Saves the settings, whole or not at all. Without a digest: they are compared one by one.
    fn save_settings(&self, config: &RunConfig) -> io::Result<()> {
        put(&self.path.join(CONFIG), config.to_string().as_bytes())
    }

    /// Removes what a run that was killed was writing.
    fn remove_parts(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let part = entry.file_name();
            if name_of_part(&part.to_string_lossy()).is_some_and(|name| CONTENTS.contains(&name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn put_aside(&self) -> io::Result<()> {
        let previous = self.path.join(PREVIOUS);
        let becoming = self.path.join(BECOMING_PREVIOUS);
        std::fs::create_dir_all(&becoming)?;
        for name in CONTENTS {
            let from = self.path.join(name);
            if from.exists() {
                std::fs::rename(from, becoming.join(name))?;
            }
        }
        if previous.exists() {
            std::fs::remove_dir_all(&previous)?;
        }
        std::fs::rename(becoming, previous)
    }

    fn writable<T>(&self, write: impl FnOnce() -> io::Result<T>) -> Result<T, RunError> {
        write().map_err(|reason| RunError::NotWritable {
            path: self.path.clone(),
            reason,
        })
    }
}

/// Whether a folder has the settings of a run of this program, of whatever version.
fn is_of_a_run(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join(CONFIG));
    let settings = text.ok().and_then(|text| serde_json::from_str(&text).ok());
    settings.is_some_and(|settings: serde_json::Value| {
        let all = ["version", "model", "elbo", "epochs"];
        all.iter().all(|key| settings.get(key).is_some())
    })
}

/// The first file in `folder`, which has the path `within` in the folder of a run, that has a name of no run's; by that
/// path. A folder that is not there has none.
fn foreign_file(folder: &Path, within: &Path) -> io::Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let within = within.join(entry.file_name());
        let foreign = if entry.file_type()?.is_dir() {
            foreign_file(&entry.path(), &within)?
        } else {
            Some(within).filter(|path| !is_name_of_a_run(path))
        };
        if foreign.is_some() {
            return Ok(foreign);
        }
    }
    Ok(None)
}

/// Whether a training gives files this path in its folder.
fn is_name_of_a_run(path: &Path) -> bool {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    match parts.unwrap_or_default().as_slice() {
        [name] => [CONFIG, MODEL, MODEL_DIGEST, PLOT, LOG].contains(name),
        // What is there while `Checkpoints` puts those of an abandoned run aside.
        [CHECKPOINTS, PREVIOUS, "moving"] => true,
        // Behind `.bpk` may come what marks a digest, or a file that was being written.
        [CHECKPOINTS, name] | [CHECKPOINTS, PREVIOUS, name] => {
            name.split_once('-').is_some_and(|(part, rest)| {
                let epoch = rest.split_once(".bpk").map(|(epoch, _)| epoch);
                ["model", "optim", "scheduler"].contains(&part) && epoch.is_some_and(is_number)
            })
        }
        [TRAIN | VALID, epoch, name] => {
            epoch.strip_prefix("epoch-").is_some_and(is_number) && name.ends_with(".log")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_s_files_are_told_from_others() {
        for name in [
            "config.json",
            "model.bpk.sha256",
            "checkpoint/model-3.bpk",
            "checkpoint/optim-12.bpk.sha256",
            "checkpoint/previous/model-3.bpk",
            "checkpoint/previous/moving",
            "checkpoint/scheduler-1.bpk.4711.part.bpk",
            "train/epoch-1/Loss.log",
            "valid/epoch-20/Coverage_95_%.log",
        ] {
            assert!(is_name_of_a_run(Path::new(name)), "{name}");
        }
        for name in [
            "notes.txt",
            "checkpoint/model.bpk",
            "checkpoint/model-best.bpk",
            "checkpoint/notes.txt",
            "checkpoint/old/model-3.bpk",
            "train/mine.csv",
            "train/epoch-1/mine.csv",
            "mine/config.json",
        ] {
            assert!(!is_name_of_a_run(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn what_a_killed_run_was_writing_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        let of_a_run = ["intervals.png.1.part.png", "config.json.2.part.json"];
        let others = [
            "intervals.png",
            "mine.png.3.part.png",
            "intervals.png.part.png",
        ];
        for name in of_a_run.iter().chain(&others) {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        folder.remove_parts().unwrap();
        for (names, stay) in [(&of_a_run[..], false), (&others, true)] {
            for name in names {
                assert_eq!(root.path().join(name).exists(), stay, "{name}");
            }
        }
    }

    #[test]
    fn the_first_file_of_no_training_is_found_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let none = Path::new("");
        assert_eq!(foreign_file(&root.join("missing"), none).unwrap(), None);
        std::fs::create_dir_all(root.join("train/epoch-1")).unwrap();
        std::fs::write(root.join("train/epoch-1/Loss.log"), "").unwrap();
        std::fs::write(root.join("config.json"), "").unwrap();
        assert_eq!(foreign_file(root, none).unwrap(), None);
        std::fs::write(root.join("train/epoch-1/mine.csv"), "").unwrap();
        assert_eq!(
            foreign_file(root, none).unwrap(),
            Some("train/epoch-1/mine.csv".into())
        );
    }
}
