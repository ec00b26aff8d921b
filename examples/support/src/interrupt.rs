//! Ctrl-C and SIGTERM, and how a program ends.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::train::Interrupter;

use crate::{RunError, print, say};

const SIGNAL: &str = "Ctrl-C or a signal to end";

/// The trainings that run.
static TRAININGS: AtomicUsize = AtomicUsize::new(0);

/// What stops a training on Ctrl-C, or on the SIGTERM and SIGHUP of a system that wants it to end: the first ends it in
/// order, a second Ctrl-C or SIGTERM at once. A SIGHUP after another signal does nothing: systemd may send it right
/// after SIGTERM.
///
/// Where no training [runs](stoppable) there is nothing to end in order: nobody looks at the interrupter, and the first
/// ends the program.
///
/// A SIGHUP that is ignored from the start stays so, as under `nohup`, where the system says what is: Linux does.
///
/// # Errors
///
/// Returns an error if the system lets nobody listen.
pub fn stop_on_ctrl_c() -> Result<Interrupter, RunError> {
    let interrupter = Interrupter::new();
    let stopping = interrupter.clone();
    let mut heard = Heard::default();
    let listening = on_signals(move |hangs_up| {
        let is_running = TRAININGS.load(Ordering::SeqCst) > 0;
        match heard.signal(hangs_up, is_running, stopping.should_stop()) {
            Action::Stop => stopping.stop(Some(SIGNAL)),
            Action::Nothing => {}
            Action::End => {
                if !is_running {
                    say!("stopped ({SIGNAL})");
                }
                std::process::exit(130);
            }
        }
    });
    match listening {
        Ok(()) => Ok(interrupter),
        Err(error) => {
            let message = format!("cannot listen for Ctrl-C: {error}");
            Err(RunError::Setting(message))
        }
    }
}

/// What a program does on a signal.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    /// It ends its training in order.
    Stop,
    Nothing,
    /// It ends at once.
    End,
}

/// Which signals a program has heard.
#[derive(Debug, Default)]
struct Heard {
    any: bool,
    /// Whether one since the last training that ran was Ctrl-C or SIGTERM.
    end: bool,
}

impl Heard {
    /// What to do on a signal, which `hangs_up` or is one to end, while a training runs, or is stopping.
    fn signal(&mut self, hangs_up: bool, is_running: bool, is_stopping: bool) -> Action {
        let (any, end) = (self.any, self.end);
        let stops = is_running && !is_stopping;
        *self = Self {
            any: true,
            end: !hangs_up || end && !stops,
        };
        match hangs_up {
            _ if stops => Action::Stop,
            // The model of a training that was stopped may not be saved yet.
            true if is_running || any => Action::Nothing,
            false if is_running && !end => Action::Nothing,
            _ => Action::End,
        }
    }
}

#[cfg(unix)]
fn on_signals(mut act: impl FnMut(bool) + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut heard = vec![SIGINT, SIGTERM];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Scripts start what is in the background with SIGINT ignored as well, and mean nothing by it.
    if !ignores(&status, SIGHUP) {
        heard.push(SIGHUP);
    }
    let mut signals = Signals::new(heard)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().for_each(|signal| act(signal == SIGHUP)))?;
    Ok(())
}

#[cfg(not(unix))]
fn on_signals(mut act: impl FnMut(bool) + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || act(false))
}

/// Whether a process ignores a signal, by its `/proc/self/status`: a bit for each, in hexadecimal digits.
#[cfg(unix)]
fn ignores(status: &str, signal: i32) -> bool {
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    ignored.is_some_and(|bits| bits >> (signal - 1) & 1 == 1)
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

/// Prints what a program found, or why it found nothing, and says how it should end: with 2, also where standard output
/// can't take it, or with what shells report for a program ended by Ctrl-C, whatever signal stopped it.
pub fn exit_code(program: &str, outcome: Result<String, impl Failure>) -> ExitCode {
    match outcome {
        Ok(output) => print(program, output).err().unwrap_or(ExitCode::SUCCESS),
        Err(error) => {
            say!("{program}: {error}");
            ExitCode::from(if error.was_stopped() { 130 } else { 2 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANG_UP: bool = true;
    const END: bool = false;

    /// What a program does on signals one after the other, while its training runs, then stops.
    fn on(signals: &[bool]) -> Vec<Action> {
        let mut heard = Heard::default();
        let numbered = signals.iter().enumerate();
        numbered
            .map(|(i, hangs_up)| heard.signal(*hangs_up, true, i > 0))
            .collect()
    }

    #[test]
    fn a_second_signal_to_end_ends_at_once_and_no_hang_up_does() {
        use Action::{End, Nothing, Stop};

        assert_eq!(on(&[END, END]), [Stop, End]);
        assert_eq!(
            on(&[END, HANG_UP, HANG_UP, END]),
            [Stop, Nothing, Nothing, End]
        );
        assert_eq!(on(&[HANG_UP, END, END]), [Stop, Nothing, End]);
        // The training has stopped before the hang-up comes, and its model is not saved yet.
        let mut heard = Heard::default();
        assert_eq!(heard.signal(END, true, false), Stop);
        assert_eq!(heard.signal(HANG_UP, false, true), Nothing);
        assert_eq!(heard.signal(END, false, true), End);
        // Another training stops in order again.
        let mut heard = Heard::default();
        assert_eq!(heard.signal(END, true, false), Stop);
        assert_eq!(heard.signal(HANG_UP, true, false), Stop);
        assert_eq!(heard.signal(END, true, true), Nothing);
        // Where none runs there is nothing to end in order.
        for hangs_up in [HANG_UP, END] {
            assert_eq!(Heard::default().signal(hangs_up, false, false), End);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_nohup_ignores_is_a_bit_of_the_status() {
        let status = "Name:\tmnist\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert!(ignores(status, 1));
        assert!(!ignores(status, 2) && !ignores(status, 15));
        assert!(!ignores("", 1));
    }
}
