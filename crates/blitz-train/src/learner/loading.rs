//! Burn's panic for a checkpoint that can't be loaded, as an error.
//!
//! `SupervisedTraining::launch` loads before the training begins, and tells nobody which folder and epoch it will look at. So the panic is caught, and its
//! message read.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::training::Training;
use crate::error::{CheckpointError, FitError};

/// A panic, and what it said if that is not on the terminal.
pub(super) struct Panic {
    pub(super) payload: Box<dyn Any + Send>,
    pub(super) unsaid: Option<String>,
}

thread_local! {
    /// The training that this thread is about to begin.
    static BEGINNING: RefCell<Option<Training>> = const { RefCell::new(None) };
    /// What was kept off the terminal.
    static UNSAID: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs `launch`. A panic of this thread before `training` has begun says nothing.
pub(super) fn catch<R>(training: &Training, launch: impl FnOnce() -> R) -> Result<R, Panic> {
    struct Leave;

    impl Drop for Leave {
        fn drop(&mut self) {
            BEGINNING.set(None);
        }
    }

    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let is_beginning = BEGINNING.try_with(|training| {
                let training = training.try_borrow().ok();
                training.is_some_and(|training| {
                    training
                        .as_ref()
                        .is_some_and(|training| !training.has_begun())
                })
            });
            if is_beginning == Ok(true) {
                UNSAID.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
    let _leave = Leave;
    UNSAID.set(None);
    BEGINNING.set(Some(training.launched()));
    catch_unwind(AssertUnwindSafe(launch)).map_err(|payload| Panic {
        payload,
        unsaid: UNSAID.take(),
    })
}

/// The error of a panic before the training began.
pub(super) fn error_of(payload: &(dyn Any + Send)) -> FitError {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let message = text.unwrap_or("a panic without a message");
    let of_checkpoint = ["Can load ", "Failed to load record", "Optimizer record"];
    if of_checkpoint.iter().any(|start| message.starts_with(start)) {
        return checkpoint_error(message).into();
    }
    FitError::Start {
        reason: message.to_string(),
    }
}

fn checkpoint_error(message: &str) -> CheckpointError {
    let said = quoted(message);
    let file = said
        .split_once("cannot open '")
        .and_then(|(_, rest)| rest.split_once("': "))
        .map(|(file, _)| PathBuf::from(file));
    let what = match message {
        m if m.starts_with("Can load optimizer") => "its optimizer: ",
        m if m.starts_with("Can load learning rate scheduler") => "its learning rate scheduler: ",
        m if m.starts_with("Failed to load record") => "it is of another model: ",
        _ => "",
    };
    CheckpointError {
        reason: format!("{what}{said}"),
        epochs: file.as_deref().map(whole_epochs).unwrap_or_default(),
        file,
    }
}

/// What stands in the outermost quotes of an error that was printed for debugging.
fn quoted(message: &str) -> String {
    let inner = message
        .find('"')
        .zip(message.rfind('"'))
        .filter(|(first, last)| first < last)
        .map_or(message, |(first, last)| &message[first + 1..last]);
    inner.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// The epochs of which the folder of `missing` has a file of every kind that it has of any epoch, and of the missing one's.
fn whole_epochs(missing: &Path) -> Vec<usize> {
    let kind_and_epoch = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        let (kind, epoch) = stem.rsplit_once('-')?;
        Some((kind.to_string(), epoch.parse::<usize>().ok()?))
    };
    let mut kinds: BTreeSet<String> = kind_and_epoch(missing)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    let mut epochs: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let entries = missing.parent().and_then(|folder| folder.read_dir().ok());
    for entry in entries.into_iter().flatten().flatten() {
        if let Some((kind, epoch)) = kind_and_epoch(&entry.path()) {
            kinds.insert(kind.clone());
            epochs.entry(epoch).or_default().insert(kind);
        }
    }
    let whole = epochs.into_iter().filter(|(_, has)| *has == kinds);
    whole.map(|(epoch, _)| epoch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_without_its_wrapping() {
        let message = r#"Can load model checkpoint.: Record(Io("I/O error: cannot open 'a \"b\"/c\\d/model-7.bpk': no"))"#;
        let error = checkpoint_error(message);
        assert_eq!(error.file, Some(PathBuf::from(r#"a "b"/c\d/model-7.bpk"#)));
        assert_eq!(
            error.reason,
            r#"I/O error: cannot open 'a "b"/c\d/model-7.bpk': no"#
        );
        assert!(error.to_string().ends_with("has no checkpoint"), "{error}");
    }

    #[test]
    fn messages_without_a_file_or_quotes_are_errors_too() {
        let message = r#"Can load optimizer checkpoint.: Record(Io("Invalid magic number"))"#;
        let error = checkpoint_error(message);
        assert_eq!(
            (error.file, error.reason.as_str()),
            (None, "its optimizer: Invalid magic number")
        );
        let error = error_of(&"Optimizer record tensors should carry a parameter id.".to_string());
        assert!(matches!(error, FitError::Checkpoint(_)), "{error}");
        let error = error_of(&"no space");
        assert_eq!(error.to_string(), "the training could not begin: no space");
        let error = error_of(&7);
        assert!(matches!(error, FitError::Start { .. }), "{error}");
    }
}
