//! How a file of cells is written: what a program cannot tell from the file alone, and its user can.

use clap::{Args, ValueEnum};

use super::DataError;

/// Whether the first line of a file names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Header {
    /// It does if none of its cells is a number.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is a row of data.
    No,
}

/// What stands between the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Separator {
    /// A comma.
    Comma,
    /// A semicolon.
    Semicolon,
    /// A tab.
    Tab,
}

impl Separator {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// How a file of cells is written; flatten it into a command line that has the file as `--data`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Format {
    /// Whether the first line of the data names the columns. By itself the program takes it for names if none of its
    /// cells is a number, and asks if it counts, as 0, 1, 2 or 2019, 2020, 2021 do, or has nothing but misspelt
    /// numbers.
    #[arg(long, value_enum, default_value_t = Header::Auto, requires = "data")]
    pub header: Header,

    /// What separates the columns of the data [default: comma, or semicolon with --decimal-comma]
    #[arg(long, value_enum, requires = "data")]
    pub separator: Option<Separator>,

    /// Numbers of the data have a decimal comma, 3,14.
    #[arg(long, requires = "data")]
    pub decimal_comma: bool,

    /// What stands for a missing value in the data, beside an empty cell; several marks are separated by commas, and
    /// have a decimal point.
    #[arg(
        long,
        value_name = "MARK,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        requires = "data"
    )]
    pub missing: Vec<String>,
}

impl From<Header> for Format {
    fn from(header: Header) -> Self {
        Self {
            header,
            ..Self::default()
        }
    }
}

impl Format {
    /// What separates the columns.
    #[must_use]
    pub fn separator(&self) -> Separator {
        self.separator.unwrap_or(match self.decimal_comma {
            true => Separator::Semicolon,
            false => Separator::Comma,
        })
    }

    /// An error if a comma would be two things.
    pub(super) fn check(&self) -> Result<(), DataError> {
        match self.decimal_comma && self.separator() == Separator::Comma {
            true => Err(DataError::TwoCommas),
            false => Ok(()),
        }
    }

    /// The number that a cell is.
    pub(super) fn number(&self, cell: &str) -> Option<f64> {
        self.point(cell)?.parse().ok()
    }

    /// A cell with a decimal point; none if it has one where the decimal sign is a comma.
    pub(super) fn point(&self, cell: &str) -> Option<String> {
        match self.decimal_comma {
            true if cell.contains('.') => None,
            true => Some(cell.replace(',', ".")),
            false => Some(cell.to_string()),
        }
    }

    /// Whether a cell has no value. A mark with a decimal point is that of a cell with a decimal comma, too: on the
    /// command line commas separate marks. A mark that is a number is meant in all its spellings.
    pub(super) fn is_missing(&self, cell: &str) -> bool {
        let is_it = |mark: &String| {
            let mark = mark.trim();
            let same = |value: f64| mark.parse::<f64>() == Ok(value);
            let is_same = mark == cell || self.point(cell).as_deref() == Some(mark);
            is_same || self.number(cell).is_some_and(same)
        };
        cell.is_empty() || self.missing.iter().any(is_it)
    }

    /// What a cell that is not a number may have been meant for, and what to do then.
    pub(super) fn remedy(&self, cell: &str) -> String {
        if is_mark(cell) {
            // In a shell `#N/A` is a comment, and `?` a pattern.
            return format!("; if it marks a missing value, say so with `--missing '{cell}'`");
        }
        if let Some(remedy) = self.remedy_of_separator(cell) {
            return remedy.into();
        }
        let remedy = match cell {
            cell if self.decimal_comma && cell.contains('.') => {
                "; with `--decimal-comma` the decimal sign is a comma, and there is no other"
            }
            cell if !self.decimal_comma && cell.contains(',') => DECIMAL_COMMA,
            _ => "",
        };
        remedy.into()
    }

    /// Why a line may have more cells than a first one of a single cell.
    pub(super) fn remedy_of_lines(&self, first: &[String], cells: usize) -> &'static str {
        let [one] = first else {
            return "";
        };
        if let Some(remedy) = self.remedy_of_separator(one) {
            return remedy;
        }
        match self.separator() == Separator::Comma && cells == 2 {
            true => DECIMAL_COMMA,
            false => "",
        }
    }

    /// What to do if a cell holds another separator.
    fn remedy_of_separator(&self, cell: &str) -> Option<&'static str> {
        match self.separator() {
            Separator::Comma if cell.contains(';') => Some(
                "; columns are separated by commas, or by semicolons with `--separator semicolon`",
            ),
            Separator::Comma if cell.contains('\t') => {
                Some("; columns are separated by commas, or by tabs with `--separator tab`")
            }
            Separator::Semicolon if cell.contains('\t') => {
                Some("; columns are separated by semicolons, or by tabs with `--separator tab`")
            }
            _ => None,
        }
    }
}

/// Whether a cell is what many write for a missing value.
pub(super) fn is_mark(cell: &str) -> bool {
    const MARKS: [&str; 12] = [
        "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "?", "-", "--", ".",
    ];
    MARKS.contains(&cell.to_lowercase().as_str())
}

const DECIMAL_COMMA: &str = "; the decimal sign is a point, or a comma with `--decimal-comma`";
