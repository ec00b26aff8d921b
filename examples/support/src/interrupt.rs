//! Ctrl-C and SIGTERM, and how a program ends.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::train::Interrupter;

use crate::{RunError, print, say};

const SIGNAL: &str = "Ctrl-C or a signal to end";

/// The trainings that run.
static TRAININGS: AtomicUsize = AtomicUsize::new(0);

/// What stops a training on Ctrl-C, or on the SIGTERM and SIGHUP of a system that wants it to end: the first ends it in order, the second at once.
///
/// Where no training [runs](stoppable) there is nothing to end in order: nobody looks at the interrupter, and the first ends the program.
///
/// Where one of the three is ignored from the start, as SIGHUP is under `nohup`, all stay as they are: what is ignored is to stop nothing, and the others end the
/// program at once.
///
/// # Errors
///
/// Returns an error if the system lets nobody listen.
pub fn stop_on_ctrl_c() -> Result<Interrupter, RunError> {
    let interrupter = Interrupter::new();
    let stopping = interrupter.clone();
    let listening = ctrlc::try_set_handler(move || {
        if TRAININGS.load(Ordering::SeqCst) == 0 {
            say!("stopped ({SIGNAL})");
            std::process::exit(130);
        }
        if stopping.should_stop() {
            std::process::exit(130);
        }
        stopping.stop(Some(SIGNAL));
    });
    match listening {
        // On Unix: one of the signals is handled, or ignored.
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(interrupter),
        Err(error) => {
            let message = format!("cannot listen for Ctrl-C: {error}");
            Err(RunError::Setting(message))
        }
    }
}

/// Runs a training that looks at the interrupter of [`stop_on_ctrl_c`].
pub fn stoppable<T>(training: impl FnOnce() -> T) -> T {
    struct Running;

    impl Drop for Running {
        fn drop(&mut self) {
            TRAININGS.fetch_sub(1, Ordering::SeqCst);
        }
    }

    TRAININGS.fetch_add(1, Ordering::SeqCst);
    let _running = Running;
    training()
}

/// Why a program has nothing to show.
pub trait Failure: Display {
    /// Whether it was stopped.
    fn was_stopped(&self) -> bool {
        false
    }
}

/// Prints what a program found, or why it found nothing, and says how it should end: with 2, also where standard output can't take it, or with what shells report for a program
/// ended by Ctrl-C, whatever signal stopped it.
pub fn exit_code(program: &str, outcome: Result<String, impl Failure>) -> ExitCode {
    match outcome {
        Ok(output) => print(program, output).err().unwrap_or(ExitCode::SUCCESS),
        Err(error) => {
            say!("{program}: {error}");
            ExitCode::from(if error.was_stopped() { 130 } else { 2 })
        }
    }
}
