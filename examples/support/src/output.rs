//! What a program says while it runs, and what it found at the end.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Writes a line to standard error, formatted as by `format!`. One that standard error can't take is lost: what took
/// hours is worth more than a line.
#[macro_export]
macro_rules! say {
    ($($line:tt)*) => {
        $crate::line_on_stderr(::std::format_args!($($line)*))
    };
}

/// What [`say!`](crate::say) does.
#[doc(hidden)]
pub fn line_on_stderr(line: fmt::Arguments<'_>) {
    // A full disk, or a reader that went away.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes what `program` found to standard output, and ends the line. A reader that went away (`| head`) has what it
/// wanted.
///
/// # Errors
///
/// Returns how the program should end if standard output can't take it, which is said on standard error.
pub fn print(program: &str, found: impl Display) -> Result<(), ExitCode> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{found}").and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say!("{program}: cannot write to standard output: {error}");
            Err(ExitCode::from(2))
        }
        _ => Ok(()),
    }
}
