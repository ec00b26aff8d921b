//! The finished parts of a long comparison, so that a run that was killed goes on where it was.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use blitz_train::files::{Seal, name_of_part, put, put_sealed, read_by_name};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::say;

/// Why the parts of a run can't be kept, or not gone on with.
#[derive(Debug, Error)]
pub enum KeptError {
    /// The folder holds parts of another run.
    #[error(
        "{} holds parts of a run with another {key} (see its run.json): take another folder",
        path.display()
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// The first setting that differs.
        key: String,
    },
    /// A file can't be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system, or the parser, says.
        reason: String,
    },
    /// The file that says what the parts of a folder depend on can't be read.
    #[error(
        "{} can't be read ({reason}), and without it nobody knows of what run the parts beside it are: take another folder, or remove the parts as well",
        path.display()
    )]
    UnknownRun {
        /// The file.
        path: PathBuf,
        /// What the operating system, or the parser, says.
        reason: String,
    },
    /// Parts without the file that says what they depend on.
    #[error(
        "{} holds {part}, and no run.json that says of what run it is: take another folder, or remove what was kept there",
        path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The name of a part's file.
        part: String,
    },
    /// What is to be kept could not be read again.
    #[error("{} is not written, since a number in it is not finite: {reason}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
}

/// What a run's parts depend on, as a digest for its settings: other data of the same name or the same size are no
/// reason to take an old result for a new one.
#[derive(Debug, Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Puts numbers behind what is there, and how many they are.
    pub fn numbers(mut self, numbers: &[f64]) -> Self {
        self.0.update((numbers.len() as u64).to_le_bytes());
        for number in numbers {
            self.0.update(number.to_bits().to_le_bytes());
        }
        self
    }

    /// Puts positions behind what is there, and how many they are.
    pub fn places(mut self, places: &[usize]) -> Self {
        self.0.update((places.len() as u64).to_le_bytes());
        for place in places {
            self.0.update((*place as u64).to_le_bytes());
        }
        self
    }

    /// Puts names behind what is there, and how many they are.
    pub fn names(mut self, names: &[String]) -> Self {
        self.0.update((names.len() as u64).to_le_bytes());
        for name in names {
            self.0.update((name.len() as u64).to_le_bytes());
            self.0.update(name);
        }
        self
    }

    /// Puts a file's bytes behind what is there.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read.
    pub fn file(mut self, path: &Path) -> Result<Self, KeptError> {
        let bytes = fs::read(path).map_err(|reason| file_error(path, reason))?;
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        Ok(self)
    }

    /// As bytes.
    pub fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// In hexadecimal.
    pub fn text(self) -> String {
        let bytes = self.bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What the parts of a folder depend on.
#[derive(Serialize)]
struct Run<'a, S> {
    /// Another version of blitz may draw other numbers for the same seed.
    version: &'static str,
    #[serde(flatten)]
    settings: &'a S,
}

/// A folder with a file for each finished part of a run; or none, and then nothing is kept.
#[derive(Debug, Clone, Default)]
pub struct Kept(Option<PathBuf>);

impl Kept {
    /// Keeps parts in a folder, which is made, or gone on with where it is of a run with the same settings: a struct or
    /// a map, of all that the parts depend on but the version of blitz, which is kept beside them.
    ///
    /// # Errors
    ///
    /// Fails if the folder can't be made or read, or is of a run with other settings, or of another version. One of a
    /// version that kept none is of another.
    pub fn in_folder(path: &Path, settings: &impl Serialize) -> Result<Self, KeptError> {
        fs::create_dir_all(path).map_err(|reason| file_error(path, reason))?;
        let file = path.join("run.json");
        let settings = Run {
            version: env!("CARGO_PKG_VERSION"),
            settings,
        };
        // By way of text, as those in the file: a number may come back rounded.
        let text = serde_json::to_string(&settings).map_err(|error| file_error(&file, error))?;
        let as_read: Value =
            serde_json::from_str(&text).map_err(|error| file_error(&file, error))?;
        if file.exists() {
            let there: Value = read(&file).map_err(|error| KeptError::UnknownRun {
                path: file,
                reason: error.reason(),
            })?;
            if let Some(key) = difference(&there, &as_read) {
                let path = path.into();
                return Err(KeptError::OtherRun { path, key });
            }
        } else if let Some(part) = any_part(path).map_err(|reason| file_error(path, reason))? {
            let path = path.into();
            return Err(KeptError::NoRun { path, part });
        } else {
            // Without a digest, since its settings are compared one by one.
            let text = pretty(&file, &settings)?;
            put(&file, text.as_bytes()).map_err(|reason| file_error(&file, reason))?;
        }
        Ok(Self(Some(path.into())))
    }

    /// A part that was finished before; none where its file is not whole, which is said.
    ///
    /// # Errors
    ///
    /// Fails if its file can't be read, or is whole and of something else.
    pub fn finished<T: DeserializeOwned>(&self, part: &str) -> Result<Option<T>, KeptError> {
        self.finished_if(part, |_| Ok(()))
    }

    /// As [`finished`](Self::finished), of values that their type alone does not make sound: `check_value` says what is
    /// wrong with one.
    ///
    /// # Errors
    ///
    /// As [`finished`](Self::finished).
    pub fn finished_if<T: DeserializeOwned>(
        &self,
        part: &str,
        check_value: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<Option<T>, KeptError> {
        let Some(path) = self.path(part).filter(|path| path.exists()) else {
            return Ok(None);
        };
        let again = |reason: &str| {
            say!("{}: {reason}; this part is made again", path.display());
            Ok(None)
        };
        let (bytes, seal) = read_by_name(&path).map_err(|reason| file_error(&path, reason))?;
        let read = || -> Result<T, KeptError> {
            let value = parsed(&path, &bytes)?;
            check_value(&value).map_err(|reason| file_error(&path, reason))?;
            Ok(value)
        };
        match seal {
            Seal::Whole => read().map(Some),
            Seal::Broken => again("the bytes are not those of its digest"),
            // Of a version that had none: what is not whole is no JSON.
            Seal::Missing => match read() {
                Err(error) => again(&error.reason()),
                value => value.map(Some),
            },
        }
    }

    /// Keeps a part.
    ///
    /// # Errors
    ///
    /// Fails if its file can't be written, or if [`finished`](Self::finished) could not read it: JSON has no number
    /// that is not finite.
    pub fn keep<T: Serialize + DeserializeOwned>(
        &self,
        part: &str,
        value: &T,
    ) -> Result<(), KeptError> {
        let Some(path) = self.path(part) else {
            return Ok(());
        };
        let text = pretty(&path, value)?;
        match serde_json::from_str::<T>(&text) {
            Ok(_) => put_sealed(&path, text.as_bytes()).map_err(|reason| file_error(&path, reason)),
            Err(reason) => Err(KeptError::NotFinite {
                path,
                reason: reason.to_string(),
            }),
        }
    }

    fn path(&self, part: &str) -> Option<PathBuf> {
        let folder = self.0.as_ref()?;
        Some(folder.join(format!("{part}.json")))
    }
}

/// The name of a part's file in a folder, the first of them, if there is one. What another run is writing, or was when
/// it was killed, is no part.
fn any_part(folder: &Path) -> io::Result<Option<String>> {
    let files = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let names = files
        .iter()
        .map(|file| file.file_name().display().to_string());
    // What a run that was killed was about to write is no part yet.
    let parts = names.filter(|name| name.ends_with(".json") && name_of_part(name).is_none());
    Ok(parts.min())
}

/// The first setting that is another, or is there in one alone.
fn difference(there: &Value, settings: &Value) -> Option<String> {
    let (Value::Object(there), Value::Object(settings)) = (there, settings) else {
        return (there != settings).then(|| "setting".into());
    };
    let mut keys = settings.keys().chain(there.keys());
    let key = keys.find(|key| there.get(*key) != settings.get(*key))?;
    Some(key.replace('_', " "))
}

impl KeptError {
    /// What is wrong with the file, without its name.
    fn reason(self) -> String {
        match self {
            Self::File { reason, .. }
            | Self::UnknownRun { reason, .. }
            | Self::NotFinite { reason, .. } => reason,
            Self::OtherRun { key, .. } => key,
            Self::NoRun { part, .. } => part,
        }
    }
}

fn file_error(path: &Path, reason: impl Display) -> KeptError {
    KeptError::File {
        path: path.into(),
        reason: reason.to_string(),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, KeptError> {
    let bytes = fs::read(path).map_err(|reason| file_error(path, reason))?;
    parsed(path, &bytes)
}

fn parsed<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, KeptError> {
    serde_json::from_slice(bytes).map_err(|reason| file_error(path, reason))
}

fn pretty(path: &Path, value: &impl Serialize) -> Result<String, KeptError> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(text + "\n"),
        Err(reason) => Err(file_error(path, reason)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_finished_is_there_again_and_the_rest_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_folder(folder.path(), &json!({"seed": 1})).unwrap();
        kept.keep("first", &[1.5, 2.0]).unwrap();
        let again = Kept::in_folder(folder.path(), &json!({"seed": 1})).unwrap();
        let first: Option<Vec<f64>> = again.finished("first").unwrap();
        assert_eq!(first, Some(vec![1.5, 2.0]));
        assert!(again.finished::<Value>("second").unwrap().is_none());
        let none = Kept::default();
        none.keep("first", &1).unwrap();
        assert!(none.finished::<Value>("first").unwrap().is_none());
    }

    #[test]
    fn a_part_that_is_not_whole_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_folder(folder.path(), &json!({"seed": 1})).unwrap();
        let part = folder.path().join("first.json");
        let finished = || kept.finished::<Vec<f64>>("first");
        for text in ["", "[1.5,", "[1.25]"] {
            kept.keep("first", &vec![1.5]).unwrap();
            assert_eq!(read_by_name(&part).unwrap().1, Seal::Whole);
            fs::write(&part, text).unwrap();
            assert_eq!(finished().unwrap(), None, "`{text}`");
        }
        // That of another part, with its digest.
        kept.keep("second", &vec![2.5]).unwrap();
        for file in ["json", "json.sha256"] {
            let of = |part: &str| folder.path().join(format!("{part}.{file}"));
            fs::copy(of("second"), of("first")).unwrap();
        }
        assert_eq!(finished().unwrap(), None);
        fs::write(&part, "[1.25]").unwrap();
        // Of a version that sealed nothing.
        fs::remove_file(folder.path().join("first.json.sha256")).unwrap();
        assert_eq!(finished().unwrap(), Some(vec![1.25]));
        fs::write(&part, "").unwrap();
        assert_eq!(finished().unwrap(), None);
        // Whole, and of something else.
        kept.keep("first", &"text".to_string()).unwrap();
        assert!(finished().is_err());
        fs::write(folder.path().join("run.json"), "").unwrap();
        let error = Kept::in_folder(folder.path(), &json!({"seed": 1})).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("run.json can't be read (EOF"), "{error}");
        assert!(error.contains("take another folder"), "{error}");
    }

    #[test]
    fn a_part_that_its_check_refuses_is_made_again_if_it_has_no_digest() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_folder(folder.path(), &json!({"seed": 1})).unwrap();
        kept.keep("first", &vec![1.5]).unwrap();
        let finished = |length| {
            kept.finished_if("first", |numbers: &Vec<f64>| match numbers.len() {
                found if found == length => Ok(()),
                found => Err(format!("{found} numbers")),
            })
        };
        assert_eq!(finished(1).unwrap(), Some(vec![1.5]));
        let error = finished(2).unwrap_err().to_string();
        assert!(error.ends_with("first.json: 1 numbers"), "{error}");
        fs::remove_file(folder.path().join("first.json.sha256")).unwrap();
        assert_eq!(finished(1).unwrap(), Some(vec![1.5]));
        assert_eq!(finished(2).unwrap(), None);
    }

    #[test]
    fn parts_of_nobody_knows_what_run_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        // A folder that is there and holds no part is taken, also after a run that was killed before it had any.
        for name in ["notes.txt", "run.json.4711.part.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let settings = json!({"seed": 1});
        let kept = Kept::in_folder(folder.path(), &settings).unwrap();
        kept.keep("first", &1).unwrap();
        fs::write(folder.path().join("run.json"), "{").unwrap();
        let damaged = Kept::in_folder(folder.path(), &settings).unwrap_err();
        let advice = "remove the parts as well";
        assert!(damaged.to_string().contains(advice), "{damaged}");
        fs::remove_file(folder.path().join("run.json")).unwrap();
        for settings in [settings, json!({"seed": 2})] {
            let error = Kept::in_folder(folder.path(), &settings).unwrap_err();
            assert!(matches!(error, KeptError::NoRun { .. }), "{error:?}");
            let error = error.to_string();
            assert!(
                error.contains("holds first.json, and no run.json"),
                "{error}"
            );
        }
        assert!(!folder.path().join("run.json").exists());
    }

    #[test]
    fn a_run_that_was_killed_before_it_said_what_it_is_leaves_a_folder_to_begin_in() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.json.6134.part.json"), "{\"se").unwrap();
        let settings = json!({"seed": 1});
        let kept = Kept::in_folder(folder.path(), &settings).unwrap();
        kept.keep("first", &1).unwrap();
        assert!(Kept::in_folder(folder.path(), &settings).is_ok());
    }

    #[test]
    fn what_could_not_be_read_again_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_folder(folder.path(), &json!({"seed": 1})).unwrap();
        for number in [f64::NEG_INFINITY, f64::NAN] {
            let error = kept.keep("first", &vec![1.5, number]).unwrap_err();
            assert!(matches!(error, KeptError::NotFinite { .. }), "{error:?}");
            let error = error.to_string();
            assert!(error.contains("first.json is not written"), "{error}");
        }
        assert!(kept.finished::<Vec<f64>>("first").unwrap().is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_data_have_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let of_file = |text: &str| {
            fs::write(&path, text).unwrap();
            Digest::default().file(&path).unwrap().text()
        };
        let mut digests = vec![of_file("a"), of_file("b"), of_file("")];
        assert_eq!(digests[0], of_file("a"));
        digests.extend(
            [&[1.0, 2.0][..], &[2.0, 1.0], &[1.0]]
                .map(|numbers| Digest::default().numbers(numbers).text()),
        );
        digests.push(Digest::default().numbers(&[1.0]).numbers(&[2.0]).text());
        digests.push(Digest::default().places(&[1, 2]).text());
        digests.push(Digest::default().places(&[1]).places(&[2]).text());
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            Digest::default().names(&names).text()
        };
        digests.extend([names(&["ab", "c"]), names(&["a", "bc"]), names(&["abc"])]);
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 12);
        let missing = Digest::default().file(&folder.path().join("none"));
        assert!(missing.unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn numbers_that_json_rounds_are_the_same_again() {
        for number in [0.1 + 0.2, 1.0 / 3.0, 5e-324, 1.7976931348623157e308] {
            let folder = tempfile::tempdir().unwrap();
            let settings = json!({ "rate": number });
            Kept::in_folder(folder.path(), &settings).unwrap();
            assert!(
                Kept::in_folder(folder.path(), &settings).is_ok(),
                "{number}"
            );
        }
    }

    #[test]
    fn a_folder_of_another_run_is_refused_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let refused = |settings: Value| Kept::in_folder(path, &settings).unwrap_err().to_string();
        Kept::in_folder(path, &json!({"seed": 1, "labels_per_class": 20})).unwrap();
        let error = refused(json!({"seed": 1, "labels_per_class": 100}));
        assert!(error.contains("another labels per class"), "{error}");
        let error = refused(json!({"seed": 1}));
        assert!(error.contains("another labels per class"), "{error}");
        let error = refused(json!({"seed": 1, "labels_per_class": 20, "rank": 8}));
        assert!(error.contains("another rank"), "{error}");
        let same = json!({"seed": 1, "labels_per_class": 20});
        let version = format!(r#""version": "{}","#, env!("CARGO_PKG_VERSION"));
        let text = fs::read_to_string(path.join("run.json")).unwrap();
        for other in [r#""version": "0.0.0","#, ""] {
            let changed = text.replacen(&version, other, 1);
            assert_ne!(changed, text);
            fs::write(path.join("run.json"), changed).unwrap();
            let error = refused(same.clone());
            assert!(error.contains("another version"), "{error}");
        }
        fs::write(path.join("run.json"), "{").unwrap();
        let error = refused(json!({"seed": 1}));
        assert!(error.contains("run.json"), "{error}");
    }
}
