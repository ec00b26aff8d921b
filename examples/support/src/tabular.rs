//! The data: a CSV file and the table in it, its division into training and test rows, and the scaling
//! that is fitted to the training rows alone.

mod first_line;
mod format;
mod quotes;
mod sheet;
mod split;
mod table;

pub use format::{Format, Header, Separator};
pub use sheet::{Row, Sheet};
pub use split::Split;
pub use table::{Table, TableFormat};

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What can be wrong with a file of data or of splits. Lines and columns count from 1, as editors show
/// them; rows and splits count from 0, as the published splits do.
#[derive(Debug, Error)]
pub enum DataError {
    /// A column's mean or deviation is beyond the numbers of a computer, or its deviation below them.
    #[error(
        "column {column} ({name}) has numbers that can't be scaled: their mean or deviation is beyond those of a computer, or below them"
    )]
    Scale {
        /// The column, counted from 1.
        column: usize,
        /// Its name.
        name: String,
    },
    /// A comma is asked to separate columns and to be the decimal sign.
    #[error(
        "with `--decimal-comma` a comma cannot separate the columns: leave `--separator comma` out for semicolons, or use `--separator tab`"
    )]
    TwoCommas,
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The file is there, but cannot be read as text.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The path that was asked for.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// The file has no row of numbers: it is empty, or a header alone.
    #[error("{file} has no row of data")]
    NoRows {
        /// The file.
        file: String,
    },
    /// One column cannot be both the features and the target.
    #[error(
        "{file}, line {line}: {found} column, but at least one feature and the target are needed; columns are separated by commas, by semicolons with `--decimal-comma`, or by what `--separator` says"
    )]
    TooFewColumns {
        /// The file.
        file: String,
        /// The first line with data or a header.
        line: usize,
        /// How many columns it has.
        found: usize,
    },
    /// A line is longer or shorter than the first.
    #[error("{file}, line {line}: {found} cells, but the first line has {expected}{remedy}")]
    Ragged {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The cells of the first line.
        expected: usize,
        /// The cells of this line.
        found: usize,
        /// What may help.
        remedy: &'static str,
    },
    /// A column has neither a name nor a value.
    #[error(
        "{file}, column {column}: no row has a value there, as where each line ends with a separator; leave the column out"
    )]
    EmptyColumn {
        /// The file.
        file: String,
        /// The column, counted from 1.
        column: usize,
    },
    /// The first column alone has no name: it may be row numbers, which say nothing of a row.
    #[error(
        "{file}, line {line}: the first column has no name, as that of the row numbers which pandas writes; leave it out, or name it if it is a feature"
    )]
    RowNumbers {
        /// The file.
        file: String,
        /// The line with the names.
        line: usize,
    },
    /// A cell is empty.
    #[error(
        "{file}, line {line}, column {column}: the cell is empty, or marked as missing; `--skip-incomplete` leaves its row out"
    )]
    MissingCell {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The column's number, and its name where the file gives one.
        column: String,
    },
    /// A cell holds something that is not a number.
    #[error("{file}, line {line}, column {column}: `{text}` is not a number{remedy}")]
    NotANumber {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The column's number, and its name where the file gives one.
        column: String,
        /// The cell as written.
        text: String,
        /// What may help.
        remedy: String,
    },
    /// A cell holds a NaN, an infinity, or a number too large to hold.
    #[error(
        "{file}, line {line}, column {column}: `{text}` is not a finite number; if it marks a missing value, say so with `--missing {}`",
        as_mark(text)
    )]
    NotFinite {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The column's number, and its name where the file gives one.
        column: String,
        /// The cell as written.
        text: String,
    },
    /// A cell holds the number that stands for a missing value in netCDF.
    #[error(
        "{file}, line {line}, column {column}: `{text}` is netCDF's mark of a missing value; say so with `--missing {}`",
        as_mark(text)
    )]
    FillValue {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The column's number, and its name where the file gives one.
        column: String,
        /// The cell as written.
        text: String,
    },
    /// A series has more columns than times and values.
    #[error(
        "{file}, line {line}: {found} columns{}, where a series has one, of values, or two, of times and values",
        if names.is_empty() { String::new() } else { format!(" ({names})") }
    )]
    Columns {
        /// The file.
        file: String,
        /// The first line with data or a header.
        line: usize,
        /// How many columns it has.
        found: usize,
        /// Their names, if it has a header.
        names: String,
    },
    /// The first line may be a header or a row.
    #[error(
        "{file}, line {line}: `{cells}` may be a header without names or a row of data; say which it is with `--header yes` or `--header no`"
    )]
    AmbiguousHeader {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The line as written.
        cells: String,
    },
    /// A row does not fit to the others.
    #[error("{file}, line {line}: {reason}")]
    Row {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of splits is shorter than the split that was asked for.
    #[error("{file} has {splits} splits, counted from 0: there is no split {asked}")]
    NoSuchSplit {
        /// The file.
        file: String,
        /// How many splits it has.
        splits: usize,
        /// The split that was asked for.
        asked: usize,
    },
    /// A split lists something that is not a row number.
    #[error("{file}, line {line}: `{text}` is not a row number")]
    NotARow {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The entry as written.
        text: String,
    },
    /// A split lists a row that the table does not have.
    #[error(
        "{file}, line {line}: there is no row {row}, the data have {rows} rows, counted from 0"
    )]
    RowOutOfRange {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The row it lists.
        row: usize,
        /// The rows of the table.
        rows: usize,
    },
    /// A split lists a row twice.
    #[error("{file}, line {line}: row {row} is listed twice")]
    RepeatedRow {
        /// The file.
        file: String,
        /// The line at fault.
        line: usize,
        /// The row.
        row: usize,
    },
    /// A split would train or test on nothing.
    #[error("{split} leaves no row to {purpose} with, out of {rows}")]
    EmptySide {
        /// The split.
        split: String,
        /// `train` or `test`.
        purpose: &'static str,
        /// The rows of the table.
        rows: usize,
    },
    /// A split was asked for that no file of splits has.
    #[error(
        "`--split {asked}` is no split of a file: leave `--splits-file` out, or give a number or `all`"
    )]
    NotOfFile {
        /// The split that was asked for.
        asked: String,
    },
    /// A published split was asked for, but the data come without any.
    #[error(
        "`--split {asked}`: {data} has no published splits; give `--splits-file`, or use `--split random`"
    )]
    NoSplits {
        /// The title of the data.
        data: String,
        /// The split that was asked for.
        asked: String,
    },
}

impl DataError {
    /// Whether it says something of the rows that one split trains with, by which the columns are scaled, and nothing
    /// of the others.
    pub fn is_of_one_split(&self) -> bool {
        // Each by its name: a new one has to be decided on.
        match self {
            Self::Scale { .. } => true,
            Self::TwoCommas
            | Self::NotFound { .. }
            | Self::Unreadable { .. }
            | Self::NoRows { .. }
            | Self::TooFewColumns { .. }
            | Self::Ragged { .. }
            | Self::EmptyColumn { .. }
            | Self::RowNumbers { .. }
            | Self::MissingCell { .. }
            | Self::NotANumber { .. }
            | Self::NotFinite { .. }
            | Self::FillValue { .. }
            | Self::Columns { .. }
            | Self::AmbiguousHeader { .. }
            | Self::Row { .. }
            | Self::NoSuchSplit { .. }
            | Self::NotARow { .. }
            | Self::RowOutOfRange { .. }
            | Self::RepeatedRow { .. }
            | Self::EmptySide { .. }
            | Self::NotOfFile { .. }
            | Self::NoSplits { .. } => false,
        }
    }
}

/// A number as `--missing` takes it: with a decimal point, since commas separate marks there.
fn as_mark(number: &str) -> String {
    number.replace(',', ".")
}

/// The text of a file, with the errors a user can act on; without a byte-order mark, and with line feeds where other
/// systems end a line by a carriage return alone.
pub fn read_text(path: &Path) -> Result<String, DataError> {
    let text = std::fs::read_to_string(path).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound => DataError::NotFound { path: path.into() },
        _ => DataError::Unreadable {
            path: path.into(),
            reason,
        },
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_system_have_the_same_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        for text in [
            "a\nb\n\nc",
            "a\r\nb\r\n\r\nc",
            "a\rb\r\rc",
            "\u{feff}a\nb\n\nc",
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_text(&path).unwrap(), "a\nb\n\nc", "{text:?}");
        }
    }
}
