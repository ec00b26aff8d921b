//! Burn's panic for a checkpoint that can't be loaded, as an error.
//!
//! `SupervisedTraining::launch` loads before the training begins, and tells nobody which folder and epoch it will look
//! at. So the panic is caught, and its message read.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

use burn::tensor::Device;

use super::training::Training;
use crate::checkpoint::{Checkpoints, raised};
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

/// Runs `launch`. A panic of this thread before `training` has begun says nothing itself.
///
/// Burn's hook says "=== PANIC ===" and the place of its log all the same, if `launch` installs that log: it does so
/// inside, and its hook comes before this one from then on.
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

/// The error of a panic before the training began, after a record of the model on `device` was loaded if there is one.
pub(super) fn error_of(payload: &(dyn Any + Send), device: Option<&Device>) -> FitError {
    if let Some(error) = payload.downcast_ref::<CheckpointError>() {
        return error.clone().into();
    }
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let message = text.unwrap_or("a panic without a message");
    let of_checkpoint = ["Can load ", "Failed to load record", "Optimizer record"];
    if of_checkpoint.iter().any(|start| message.starts_with(start)) {
        return checkpoint_error(message).into();
    }
    let mut reason = match message.strip_prefix("initializing rolling file appender failed: ") {
        Some(error) => format!("`experiment.log` in its folder can't be written: {error}"),
        None => message.to_string(),
    };
    // Burn makes the states of an optimizer's record on its default device, and moves them to the model's in the next
    // step.
    if let Some(device) = device
        && message.contains("BURN_DEVICE")
    {
        reason += &format!(
            " Burn reads an optimizer's checkpoint on its default device, whatever the training's: set BURN_DEVICE to the backend of \
             {device:?}, or unset it"
        );
    } else if let Some(device) = device
        && std::env::var_os("BURN_DEVICE").is_none()
        && Device::default() != *device
    {
        reason += &format!(
            ". Burn reads an optimizer's checkpoint on its default device, {:?}, which this machine may not have: the variable \
             BURN_DEVICE, set to the backend of {device:?}, makes that the default",
            Device::default()
        );
    }
    FitError::Start { reason }
}

/// The error in the message of Burn's panic: one of [`Checkpoints`], or one of Burn's own, which it has as text.
fn checkpoint_error(message: &str) -> CheckpointError {
    match raised(message) {
        Some(CheckpointError::Unreadable { path, reason }) => {
            return missing(&path).unwrap_or(CheckpointError::Unreadable { path, reason });
        }
        Some(error) => return error,
        None => {}
    }
    let said = quoted(message);
    let opened = said
        .split_once("cannot open '")
        .and_then(|(_, rest)| rest.split_once("': "));
    if let Some((path, reason)) = opened {
        let path = Path::new(path);
        return missing(path).unwrap_or_else(|| CheckpointError::unreadable(path, reason));
    }
    let (part, what) = match message {
        m if m.starts_with("Can load optimizer") => ("optimizer", ""),
        m if m.starts_with("Optimizer") => ("optimizer", ""),
        m if m.starts_with("Can load learning rate") => ("learning rate scheduler", ""),
        m if m.starts_with("Failed to load record") => ("model", "it is of another model, "),
        _ => ("model", ""),
    };
    CheckpointError::Refused {
        part,
        reason: format!("{what}{said}"),
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

/// The checkpoint of a file that is not there, with those that are; none if the file is there, or is no part of a
/// checkpoint.
fn missing(path: &Path) -> Option<CheckpointError> {
    let (_, epoch) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let epoch = epoch.parse().ok().filter(|_| !path.exists())?;
    let checkpoints = Checkpoints::new(path.parent()?);
    Some(match checkpoints.epochs() {
        Ok(epochs) => CheckpointError::Missing {
            folder: checkpoints.folder().into(),
            epoch,
            epochs,
        },
        Err(error) => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_without_its_wrapping() {
        let message = r#"Can load model checkpoint.: Record(Io("I/O error: cannot open 'a \"b\"/c\\d/model-7.bpk': no"))"#;
        let CheckpointError::Missing {
            folder,
            epoch,
            epochs,
        } = checkpoint_error(message)
        else {
            panic!("{message}");
        };
        assert_eq!(folder, Path::new(r#"a "b"/c\d"#));
        assert_eq!((epoch, epochs), (7, Vec::new()));
    }

    #[test]
    fn messages_without_a_file_or_quotes_are_errors_too() {
        let message = r#"Can load optimizer checkpoint.: Record(Io("Invalid magic number"))"#;
        let refused = CheckpointError::Refused {
            part: "optimizer",
            reason: "Invalid magic number".into(),
        };
        assert_eq!(checkpoint_error(message), refused);
        let device = Device::flex();
        let error = error_of(
            &"Optimizer record tensors should carry a parameter id.".to_string(),
            None,
        );
        assert!(matches!(error, FitError::Checkpoint(_)), "{error}");
        let error = error_of(&"no space", Some(&device));
        assert_eq!(error.to_string(), "the training could not begin: no space");
        let error = error_of(&7, None);
        assert!(matches!(error, FitError::Start { .. }), "{error}");
    }
}
