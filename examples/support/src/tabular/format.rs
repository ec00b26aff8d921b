//! How a file of cells is written: what a program cannot tell from the file alone, and its user can.

use clap::{Args, ValueEnum};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Separator {
    /// A comma.
    #[default]
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

/// How a file of cells is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Format {
    /// Whether the first line of the data names the columns. By itself the program takes it for names if none of its cells is a number.
    #[arg(long, value_enum, default_value_t = Header::Auto)]
    pub header: Header,

    /// What separates the columns of the data.
    #[arg(long, value_enum, default_value_t = Separator::Comma)]
    pub separator: Separator,

    /// Numbers of the data have a decimal comma, 3,14.
    #[arg(long)]
    pub decimal_comma: bool,

    /// What stands for a missing value in the data, beside an empty cell; several marks are separated by commas.
    #[arg(
        long,
        value_name = "MARK,...",
        value_delimiter = ',',
        allow_hyphen_values = true
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
    /// The number that a cell is.
    pub(super) fn number(&self, cell: &str) -> Option<f64> {
        self.point(cell)?.parse().ok()
    }

    /// A cell with a decimal point; none if it has one where the decimal sign is a comma.
    fn point(&self, cell: &str) -> Option<String> {
        match self.decimal_comma {
            true if cell.contains('.') => None,
            true => Some(cell.replace(',', ".")),
            false => Some(cell.to_string()),
        }
    }

    /// A cell that is a time, or another kind of text, with a decimal point.
    pub(super) fn text(&self, cell: &str) -> String {
        self.point(cell).unwrap_or_else(|| cell.to_string())
    }

    /// Whether a cell has no value.
    pub(super) fn is_missing(&self, cell: &str) -> bool {
        cell.is_empty() || self.missing.iter().any(|mark| mark.trim() == cell)
    }

    /// What a cell that is not a number may have been meant for, and what to do then.
    pub(super) fn remedy(&self, cell: &str) -> String {
        const MARKS: [&str; 12] = [
            "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "?", "-", "--", ".",
        ];
        if MARKS.contains(&cell.to_lowercase().as_str()) {
            return format!("; if it marks a missing value, say so with `--missing {cell}`");
        }
        let remedy = match cell {
            cell if self.separator == Separator::Comma && cell.contains(';') => SEMICOLON,
            cell if self.separator == Separator::Comma && cell.contains('\t') => TAB,
            cell if self.decimal_comma && cell.contains('.') => {
                "; with `--decimal-comma` the decimal sign is a comma, and there is no other"
            }
            cell if !self.decimal_comma && cell.contains(',') => {
                "; the decimal sign is a point, or a comma with `--decimal-comma`"
            }
            _ => "",
        };
        remedy.into()
    }

    /// Why a line may have more cells than a first one of a single cell.
    pub(super) fn remedy_of_lines(&self, first: &[String], cells: usize) -> &'static str {
        match first {
            [one] if self.separator == Separator::Comma && one.contains(';') => SEMICOLON,
            [one] if self.separator == Separator::Comma && one.contains('\t') => TAB,
            [_] if self.separator == Separator::Comma && cells == 2 => {
                "; the decimal sign is a point, or a comma with `--decimal-comma --separator semicolon`"
            }
            _ => "",
        }
    }
}

const SEMICOLON: &str =
    "; columns are separated by commas, or by semicolons with `--separator semicolon`";
const TAB: &str = "; columns are separated by commas, or by tabs with `--separator tab`";
