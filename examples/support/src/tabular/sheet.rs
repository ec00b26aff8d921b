//! The one reader of CSV files: cells with their lines, which a table of features and a time series are made of.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::first_line::{FirstLine, first_line_of};
use super::quotes::check_quotes;
use super::{DataError, Format, Header, read_text};

/// The cells of a file, each row as long as the first.
#[derive(Debug, Clone)]
pub struct Sheet {
    file: String,
    format: Format,
    /// The names of the columns, if the file has a header.
    names: Option<Vec<String>>,
    width: usize,
    first_line: usize,
    rows: Vec<Row>,
}

/// A line of a sheet.
#[derive(Debug, Clone)]
pub struct Row {
    /// The line of the file, from 1.
    pub line: usize,
    cells: Vec<String>,
}

impl Row {
    /// The text of a cell, without the spaces around it.
    #[must_use]
    pub fn cell(&self, column: usize) -> &str {
        &self.cells[column]
    }
}

impl Sheet {
    /// Reads a file of cells that are written as `format` says.
    ///
    /// Spaces around cells, quotes, a byte-order mark and the kind of line ends are no matter. Blank lines are left
    /// out; the lines of the rows tell where they were.
    pub fn read(path: &Path, format: impl Into<Format>) -> Result<Self, DataError> {
        Self::parse(&read_text(path)?, &path.display().to_string(), format)
    }

    /// The sheet in a text.
    pub fn parse(text: &str, file: &str, format: impl Into<Format>) -> Result<Self, DataError> {
        let format = format.into();
        format.check()?;
        check_quotes(text, file, format.separator())?;
        let mut reader = ReaderBuilder::new()
            .delimiter(format.separator().byte())
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let mut lines = Lines {
            text,
            at: 0,
            line: 1,
        };
        let rows = reader
            .records()
            .map(|record| record.expect("the text is UTF-8 and its lines may differ in length"))
            .map(|record| Row {
                line: lines.of(&record),
                cells: record.iter().map(String::from).collect(),
            });
        let mut rows: Vec<Row> = rows.collect();
        let Some(first) = rows.first() else {
            return Err(DataError::NoRows { file: file.into() });
        };
        let (width, first_line) = (first.cells.len(), first.line);
        let second = rows.get(1).map_or(&[][..], |row| &row.cells);
        let has_header = match (format.header, first_line_of(&first.cells, second, &format)) {
            (Header::Yes, _) | (Header::Auto, FirstLine::Names) => true,
            (Header::No, _) | (Header::Auto, FirstLine::Data) => false,
            (Header::Auto, FirstLine::Unclear) => {
                return Err(DataError::AmbiguousHeader {
                    file: file.into(),
                    line: first.line,
                    cells: first.cells.join(","),
                });
            }
        };
        if let Some(ragged) = rows.iter().find(|row| row.cells.len() != width) {
            return Err(DataError::Ragged {
                file: file.into(),
                line: ragged.line,
                expected: width,
                found: ragged.cells.len(),
                remedy: format.remedy_of_lines(&rows[0].cells, ragged.cells.len()),
            });
        }
        let names = has_header.then(|| rows.remove(0).cells);
        Ok(Self {
            file: file.into(),
            format,
            names,
            width,
            first_line,
            rows,
        })
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rows of data.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The line of the first row or header.
    #[must_use]
    pub fn first_line(&self) -> usize {
        self.first_line
    }

    /// The name of a column, where the file has one.
    #[must_use]
    pub fn name(&self, column: usize) -> Option<&str> {
        let name = self.names.as_ref()?[column].as_str();
        (!name.is_empty()).then_some(name)
    }

    /// Whether the file names its columns, and leaves out this one.
    #[must_use]
    pub fn is_unnamed(&self, column: usize) -> bool {
        self.names.is_some() && self.name(column).is_none()
    }

    /// Whether a column has neither a name nor a value.
    #[must_use]
    pub fn is_empty(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row.cell(column));
        !self.rows.is_empty() && self.name(column).is_none() && cells.all(str::is_empty)
    }

    /// What a column is called in a message.
    fn column(&self, column: usize) -> String {
        match self.name(column) {
            Some(name) => format!("{} ({name})", column + 1),
            None => format!("{}", column + 1),
        }
    }

    /// The number in a cell.
    pub fn number(&self, row: &Row, column: usize) -> Result<f64, DataError> {
        match self.number_if_any(row, column)? {
            Some(value) => Ok(value),
            None => Err(DataError::MissingCell {
                file: self.file.clone(),
                line: row.line,
                column: self.column(column),
            }),
        }
    }

    /// The text of a cell that need not be a number, such as a time; with a decimal point where it has a decimal comma.
    ///
    /// # Errors
    ///
    /// Returns an error if it has a point where the decimal sign is a comma.
    pub fn text(&self, row: &Row, column: usize) -> Result<String, DataError> {
        let cell = row.cell(column);
        self.format.point(cell).ok_or_else(|| {
            let cell = shown(cell);
            let reason = format!(
                "`{cell}` has a point; with `--decimal-comma` the decimal sign is a comma, and there is no other"
            );
            self.fault(row, reason)
        })
    }

    /// The number in a cell, or `None` if it is empty or marked as missing.
    pub fn number_if_any(&self, row: &Row, column: usize) -> Result<Option<f64>, DataError> {
        let cell = row.cell(column);
        if self.format.is_missing(cell) {
            return Ok(None);
        }
        let (file, line) = (self.file.clone(), row.line);
        let (column, text) = (self.column(column), shown(cell));
        match self.format.number(cell) {
            Some(value) if is_fill_value(value) => Err(DataError::FillValue {
                file,
                line,
                column,
                text,
            }),
            Some(value) if value.is_finite() => Ok(Some(value)),
            Some(_) => Err(DataError::NotFinite {
                file,
                line,
                column,
                text,
            }),
            None => Err(DataError::NotANumber {
                file,
                line,
                column,
                remedy: self.format.remedy(&text),
                text,
            }),
        }
    }

    /// An error about a row.
    pub fn fault(&self, row: &Row, reason: impl Into<String>) -> DataError {
        DataError::Row {
            file: self.file.clone(),
            line: row.line,
            reason: reason.into(),
        }
    }
}

/// What netCDF fills in for a missing value, 9.96921e36, also when it was rounded to three digits.
fn is_fill_value(value: f64) -> bool {
    (9.96e36..9.98e36).contains(&value.abs())
}

/// The beginning of a cell, on one line: between quotes there may be several.
fn shown(cell: &str) -> String {
    let line = cell.lines().next().unwrap_or_default();
    match line.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < cell.len() => format!("{line}…"),
        None => line.into(),
    }
}

/// Counts lines from record to record.
struct Lines<'a> {
    text: &'a str,
    /// Up to where they are counted.
    at: usize,
    /// The line there, from 1.
    line: usize,
}

impl Lines<'_> {
    /// The line on which a record begins, which comes after those asked for before. The csv crate's own count is late
    /// after a CRLF and after a blank line (its issues 395 and 208), because a record's position is taken before what
    /// is left of the last line is skipped.
    fn of(&mut self, record: &StringRecord) -> usize {
        let position = record
            .position()
            .map_or(0, |position| position.byte() as usize);
        let skipped = self.text[position..]
            .bytes()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let begin = position + skipped;
        self.line += self.text[self.at..begin].matches('\n').count();
        self.at = begin;
        self.line
    }
}

#[cfg(test)]
mod tests;
