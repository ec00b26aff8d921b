//! Ctrl-C and SIGTERM, and how a program ends.

use std::fmt::Display;
use std::process::ExitCode;

use burn::train::Interrupter;

use crate::RunError;

/// What stops a training on Ctrl-C, or on the SIGTERM and SIGHUP of a system that wants it to end: the first ends it in order, the second at once.
pub fn stop_on_ctrl_c() -> Result<Interrupter, RunError> {
    let interrupter = Interrupter::new();
    let stopping = interrupter.clone();
    ctrlc::set_handler(move || {
        if stopping.should_stop() {
            std::process::exit(130);
        }
        stopping.stop(Some("Ctrl-C or a signal to end"));
    })
    .map_err(|error| RunError::Setting(format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(interrupter)
}

/// Why a program has nothing to show.
pub trait Failure: Display {
    /// Whether it was stopped.
    fn was_stopped(&self) -> bool {
        false
    }
}

/// Prints what a program found, or why it found nothing, and says how it should end: with 2, or with what shells report for a program
/// ended by Ctrl-C, whatever signal stopped it.
pub fn exit_code(program: &str, outcome: Result<String, impl Failure>) -> ExitCode {
    use std::io::Write;

    match outcome {
        // A reader that went away (`| head`) is no reason for a panic.
        Ok(output) => match writeln!(std::io::stdout(), "{output}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::from(if error.was_stopped() { 130 } else { 2 })
        }
    }
}
