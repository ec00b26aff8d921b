//! Errors of which Burn keeps the text alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::train::checkpoint::CheckpointerError;

use crate::error::CheckpointError;

/// Those that nobody has asked for.
static RAISED: Mutex<Vec<CheckpointError>> = Mutex::new(Vec::new());

/// As Burn takes an error before it trains. What it panics with has the text, by which [`raised`] finds the error
/// again.
pub(super) fn for_start(error: CheckpointError) -> CheckpointerError {
    let text = error.to_string();
    errors().push(error);
    CheckpointerError::Unknown(text)
}

/// The error that was given to Burn, in the message of its panic.
pub(crate) fn raised(message: &str) -> Option<CheckpointError> {
    let mut errors = errors();
    // Burn prints it for debugging.
    let is_in = |error: &CheckpointError| message.contains(&format!("{:?}", error.to_string()));
    let index = errors.iter().position(is_in)?;
    Some(errors.swap_remove(index))
}

fn errors() -> MutexGuard<'static, Vec<CheckpointError>> {
    RAISED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_error_comes_back_as_it_was_whatever_its_text() {
        let errors = [
            CheckpointError::Damaged {
                path: "runs/a \"b\"\n\\c/model-3.bpk".into(),
            },
            CheckpointError::unreadable(Path::new("runs/optim.bpk"), "Invalid magic number"),
            CheckpointError::Refused {
                part: "optimizer",
                reason: "no reason: \"none\"".into(),
            },
            CheckpointError::NoBest {
                metric: "NLL".into(),
            },
        ];
        for error in errors {
            let message = format!("Can load model: {:?}", for_start(error.clone()));
            assert_eq!(raised(&message), Some(error));
            assert_eq!(raised(&message), None);
        }
    }
}
