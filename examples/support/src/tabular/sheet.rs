//! The one reader of CSV files: cells with their lines, which a table of features and a time series are made of.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::format::is_mark;
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
        let header = format.header;
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
        // A first line that mixes names and numbers is data, so that a typing error in it is reported rather than
        // swallowed as a name.
        let names_columns = |cells: &[String]| {
            let is_name = |cell: &String| format.number(cell).is_none() && !format.is_missing(cell);
            cells.iter().any(is_name) && cells.iter().all(|cell| cell.is_empty() || is_name(cell))
        };
        // Marks that nobody declared are names like others, or a row without a value.
        let are_marks =
            |cells: &[String]| cells.iter().all(|cell| cell.is_empty() || is_mark(cell));
        // A line of numbers with another separator is an error of its own, where the next is one, too.
        let second = rows.get(1).map_or(&[][..], |row| &row.cells);
        let are_lines = |(one, other): (&String, &String)| is_line(one) && is_line(other);
        let have_other_separator = first.cells.iter().zip(second).any(are_lines);
        let are_misspelt = |cells: &[String]| {
            !have_other_separator
                && cells
                    .iter()
                    .all(|cell| cell.is_empty() || is_misspelt_number(cell))
        };
        let is_ambiguous = counts_columns(&first.cells, &format)
            || (names_columns(&first.cells)
                && (are_marks(&first.cells) || are_misspelt(&first.cells)));
        if header == Header::Auto && is_ambiguous {
            return Err(DataError::AmbiguousHeader {
                file: file.into(),
                line: first.line,
                cells: first.cells.join(","),
            });
        }
        let has_header = match header {
            Header::Auto => names_columns(&first.cells),
            Header::Yes => true,
            Header::No => false,
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

/// Whether the cells are whole numbers in equal steps, such as columns that are counted, or years: what a program
/// writes that has no other names for them, or a row of data. Nobody can tell. Of one column or two, which say less,
/// those that are counted from 0 alone. Empty cells before them are of columns of row numbers, which such programs
/// don't name.
fn counts_columns(cells: &[String], format: &Format) -> bool {
    let first = cells.iter().position(|cell| !cell.is_empty());
    let counted = &cells[first.unwrap_or(cells.len())..];
    let whole = |cell: &String| {
        let number = format.number(cell).filter(|number| number.fract() == 0.0);
        number.filter(|_| !format.is_missing(cell))
    };
    let numbers: Option<Vec<f64>> = counted.iter().map(whole).collect();
    match numbers.as_deref() {
        Some([_] | [_, _]) => counted == ["0"] || counted == ["0", "1"],
        Some(numbers @ [first, second, _, ..]) => {
            let step = second - first;
            step != 0.0 && numbers.windows(2).all(|pair| pair[1] - pair[0] == step)
        }
        _ => false,
    }
}

/// Whether a cell that is no number begins as numbers do, such as `12.5.3`, `1O`, `5 %`, `0x10` or `10 000`.
fn is_misspelt_number(cell: &str) -> bool {
    let unsigned = cell.trim_start_matches(['+', '-', '\u{2212}', '.', ',', '$', '€', '£']);
    unsigned.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether a cell is several numbers with another separator.
fn is_line(cell: &str) -> bool {
    let separators = [';', '\t', '|', ' '];
    let mut parts = cell.split(separators);
    cell.contains(separators) && parts.all(|part| part.parse::<f64>().is_ok())
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
mod tests {
    use super::*;
    use crate::tabular::Separator;

    fn message(text: &str) -> String {
        match Sheet::parse(text, "table.csv", Header::Auto) {
            Ok(sheet) => panic!("{sheet:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_first_line_of_misspelt_numbers_is_no_header_unless_it_is_said_to_be_one() {
        for (first, row) in [
            ("12.5.3", "13"),
            ("1O", "2"),
            ("\"1,234\"", "900"),
            ("\"1,234\",\"5,678\"", "900,800"),
            ("5%", "4"),
            ("0x10", "1"),
            ("1_000", "2"),
            ("\u{2212}5", "4"),
            ("$12", "13"),
            ("10 000", "900"),
            ("1;2", "3"),
        ] {
            let text = format!("{first}\n{row}\n{row}\n");
            let error = message(&text);
            assert!(error.starts_with("table.csv, line 1: "), "{error}");
            assert!(error.contains("--header no"), "{error}");
            let sheet = Sheet::parse(&text, "", Header::Yes).unwrap();
            assert_eq!(sheet.rows().len(), 2);
            let sheet = Sheet::parse(&text, "", Header::No).unwrap();
            let error = sheet.number(&sheet.rows()[0], 0).unwrap_err();
            assert!(
                matches!(error, DataError::NotANumber { line: 1, .. }),
                "{error}"
            );
        }
        // Where the next line is one, too, the separator is another.
        let sheet = Sheet::parse("1;2\n3;4\n", "", Header::Auto).unwrap();
        let error = sheet.number(&sheet.rows()[0], 0).unwrap_err().to_string();
        assert!(error.contains("--separator semicolon"), "{error}");
        // Points where numbers have commas.
        let format = Format {
            decimal_comma: true,
            ..Format::default()
        };
        let error = Sheet::parse("1.5;2.5\n3;4\n", "table.csv", format).unwrap_err();
        assert!(
            matches!(error, DataError::AmbiguousHeader { .. }),
            "{error}"
        );
        // One name among them is enough.
        let sheet = Sheet::parse("name,1st,2nd\n1,2,3\n", "", Header::Auto);
        assert_eq!(sheet.unwrap().rows().len(), 1);
    }

    #[test]
    fn a_first_line_that_may_count_the_columns_is_no_guess() {
        for first in [
            "0",
            "0,1",
            "0,1,2",
            "\"0\",\"1\"",
            "2019,2020,2021",
            "1,2,3",
            "0.0,1.0,2.0",
            "2018,2020,2022",
            "2020,2019,2018",
            "2019.0,2020.0,2021.0",
            "10,20,30",
            "-1,0,1",
            "1e3,2e3,3e3",
            // The row numbers of pandas have no name.
            ",0",
            ",0,1,2",
            ",,2019,2020,2021",
        ] {
            let cells = first.split(',').count();
            let text = format!("{first}\n{}\n", vec!["5.5"; cells].join(","));
            let error = message(&text);
            assert!(
                error.starts_with("table.csv, line 1: ")
                    && error.contains("--header yes")
                    && error.contains("--header no")
                    && !error.contains("--skip-incomplete"),
                "{error}"
            );
            let sheet = |header| Sheet::parse(&text, "", header).unwrap();
            assert_eq!(sheet(Header::Yes).rows().len(), 1);
            assert_eq!(sheet(Header::No).rows().len(), 2);
        }
        for row in [
            "1,2",
            "0,2",
            "0.0",
            "0,1.0",
            "1,0",
            "0,0",
            "2019,2020",
            "0,0,0",
            "1,2,4",
            "0.5,1.5,2.5",
            "0,1,x",
            "0,1,",
            "inf,inf,inf",
            ",5",
        ] {
            let sheet = Sheet::parse(row, "", Header::Auto).unwrap();
            assert_eq!(sheet.rows().len(), 1, "{row}");
        }
    }

    #[test]
    fn a_first_line_with_a_decimal_comma_or_a_mark_counts_as_its_format_says() {
        let format = |missing: &[&str]| Format {
            decimal_comma: true,
            missing: missing.iter().map(|mark| mark.to_string()).collect(),
            ..Format::default()
        };
        let text = "2019,0;2020,0;2021,0\n1,5;2,5;3,5\n";
        assert!(Sheet::parse(text, "", format(&[])).is_err());
        // A mark is a value that is missing, and no name.
        let sheet = Sheet::parse(text, "", format(&["2020"])).unwrap();
        assert_eq!(sheet.rows().len(), 2);
    }

    #[test]
    fn a_first_line_of_marks_is_no_guess() {
        for first in ["NA,NA,NA", "null,,None", "?,-,N/A"] {
            let text = format!("{first}\n1,2,3\n");
            let error = message(&text);
            assert!(
                error.starts_with("table.csv, line 1: ") && error.contains("--header no"),
                "{error}"
            );
            let sheet = |header| Sheet::parse(&text, "", header).unwrap();
            assert_eq!(sheet(Header::Yes).rows().len(), 1);
            assert_eq!(sheet(Header::No).rows().len(), 2);
        }
        // A name among them is no mark.
        let sheet = Sheet::parse("NA,x,NA\n1,2,3\n", "", Header::Auto).unwrap();
        assert_eq!(sheet.rows().len(), 1);
    }

    #[test]
    fn a_line_of_empty_cells_is_no_header() {
        let sheet = Sheet::parse(",\n1,2\n", "", Header::Auto).unwrap();
        assert_eq!(sheet.rows().len(), 2);
        assert!(sheet.number(&sheet.rows()[0], 0).is_err());
    }

    #[test]
    fn marks_of_missing_values_are_named() {
        for text in ["9.97e36", "9.96921e+36", "9.969209968386869e36"] {
            let sheet = Sheet::parse(&format!("1,{text}"), "t.csv", Header::Auto).unwrap();
            let error = sheet.number(&sheet.rows()[0], 1).unwrap_err().to_string();
            assert!(error.starts_with("t.csv, line 1, column 2: "), "{error}");
            assert!(error.contains("netCDF"), "{error}");
        }
    }

    #[test]
    fn a_mark_that_is_a_number_is_meant_in_all_its_spellings() {
        let format = Format {
            missing: vec!["-999".into()],
            ..Format::default()
        };
        for cell in ["-999", "-999.0", "-9.99e2"] {
            assert!(format.is_missing(cell), "{cell}");
        }
        assert!(!format.is_missing("-99.9") && !format.is_missing("nan"));
    }

    #[test]
    fn other_separators_and_decimal_signs_are_named_in_the_error() {
        let number = |text: &str| {
            let sheet = Sheet::parse(text, "t.csv", Header::Auto).unwrap();
            sheet.number(&sheet.rows()[1], 0).unwrap_err().to_string()
        };
        for text in ["x\n1\n2;3\n", "x\n1\n2\t3\n"] {
            assert!(number(text).contains("separated by commas"), "{text}");
        }
        assert!(number("x\n1\n\"10,5996\"\n").contains("decimal sign is a point"));
        let error = message("value\n10,5996\n");
        assert_eq!(
            error,
            "table.csv, line 2: 2 cells, but the first line has 1; the decimal sign is a point, or a comma with \
             `--decimal-comma`"
        );
        assert!(
            message("a;b\n1,5;2,5\n").ends_with("or by semicolons with `--separator semicolon`")
        );
        assert!(message("a\tb\n1,5\t2,5\n").ends_with("or by tabs with `--separator tab`"));
        assert!(number("x\n1\nN/A\n").ends_with("say so with `--missing 'N/A'`"));
    }

    fn european(text: &str) -> Sheet {
        let format = Format {
            decimal_comma: true,
            missing: vec!["NA".into(), "-999".into(), "9,97e36".into()],
            ..Format::default()
        };
        Sheet::parse(text, "t.csv", format).unwrap()
    }

    fn numbers(sheet: &Sheet) -> Vec<Option<f64>> {
        let cells = sheet
            .rows()
            .iter()
            .flat_map(|row| (0..sheet.width()).map(move |column| (row, column)));
        cells
            .map(|(row, column)| sheet.number_if_any(row, column).unwrap())
            .collect()
    }

    #[test]
    fn semicolons_decimal_commas_and_marks_are_read_where_the_format_says_so() {
        let sheet = european("a;b\n1,5;-2,25e3\n NA ;7\n-999;\n9,97e36;0\n");
        assert_eq!(sheet.name(1), Some("b"));
        let expected = [
            Some(1.5),
            Some(-2250.0),
            None,
            Some(7.0),
            None,
            None,
            None,
            Some(0.0),
        ];
        assert_eq!(numbers(&sheet), expected);
        // A first row of marks and numbers is data, and so is one of marks alone.
        assert_eq!(european("NA;1,5\n2;3\n").rows().len(), 2);
        assert_eq!(european("NA;NA\n2;3\n").rows().len(), 2);
        let tabs = Format {
            separator: Some(Separator::Tab),
            ..Format::default()
        };
        let sheet = Sheet::parse("a\tb\n1.5\t2\n", "t.tsv", tabs).unwrap();
        assert_eq!(numbers(&sheet), [Some(1.5), Some(2.0)]);
    }

    #[derive(Debug, clap::Parser)]
    struct Options {
        #[arg(long)]
        data: Option<String>,
        #[command(flatten)]
        format: Format,
    }

    fn options(options: &[&str]) -> Format {
        let words = [&["program", "--data", "t.csv"], options].concat();
        <Options as clap::Parser>::parse_from(words).format
    }

    #[test]
    fn what_is_said_of_data_needs_data() {
        for option in [
            "--header no",
            "--separator tab",
            "--decimal-comma",
            "--missing NA",
        ] {
            crate::program::assert_refused::<Options>(&[(option, "--data")]);
        }
    }

    #[test]
    fn the_mark_that_an_error_advises_is_read_and_no_other() {
        let text = "a;b\n9;9,97e36\n97e36;-1,5\n";
        let sheet = Sheet::parse(text, "t.csv", options(&["--decimal-comma"])).unwrap();
        let error = sheet.number(&sheet.rows()[0], 1).unwrap_err().to_string();
        let (_, advised) = error.split_once("`--missing ").unwrap();
        let mark = advised.trim_end_matches('`');
        assert_eq!(mark, "9.97e36");
        let format = options(&["--decimal-comma", "--missing", mark]);
        let sheet = Sheet::parse(text, "t.csv", format).unwrap();
        let expected = [Some(9.0), None, Some(97e36), Some(-1.5)];
        assert_eq!(numbers(&sheet), expected);
        let infinite = Sheet::parse("1;-1,5e999\n", "", options(&["--decimal-comma"])).unwrap();
        let error = infinite.number(&infinite.rows()[0], 1).unwrap_err();
        assert!(error.to_string().ends_with("with `--missing -1.5e999`"));
    }

    #[test]
    fn a_decimal_comma_separates_no_columns() {
        let text = "1,5\n2,7\n3,6\n";
        let sheet = Sheet::parse(text, "", options(&["--decimal-comma"])).unwrap();
        assert_eq!(numbers(&sheet), [Some(1.5), Some(2.7), Some(3.6)]);
        let format = options(&["--decimal-comma", "--separator", "comma"]);
        let error = Sheet::parse(text, "", format).unwrap_err().to_string();
        assert!(error.contains("a comma cannot separate"), "{error}");
        let sheet = Sheet::parse("x\n1,5\t2,7\n", "", options(&["--decimal-comma"])).unwrap();
        let error = sheet.number(&sheet.rows()[0], 0).unwrap_err().to_string();
        assert!(
            error.ends_with("or by tabs with `--separator tab`"),
            "{error}"
        );
        let format = options(&["--decimal-comma", "--separator", "tab"]);
        let sheet = Sheet::parse("1,5\t2,7\n", "", format).unwrap();
        assert_eq!(numbers(&sheet), [Some(1.5), Some(2.7)]);
    }

    #[test]
    fn a_point_among_decimal_commas_is_no_thousands_separator() {
        let sheet = european("1.234,5;2\n");
        let error = sheet.number(&sheet.rows()[0], 0).unwrap_err().to_string();
        assert!(
            error.contains("`1.234,5` is not a number") && error.contains("--decimal-comma"),
            "{error}"
        );
    }

    #[test]
    fn stray_quotes_are_refused_by_their_line() {
        let error = message("a,b,\"y\n1,2,3\n4,5,6\n");
        assert_eq!(error, "table.csv, line 1: a quote is not closed");
        let error = message("a,b\n1,\"2\"3\n");
        assert!(
            error.starts_with("table.csv, line 2: `3` comes after"),
            "{error}"
        );
        let format = Format {
            separator: Some(Separator::Tab),
            ..Format::default()
        };
        assert!(Sheet::parse("\"1\"\t\"2\"\n", "", format).is_ok());
    }

    #[test]
    fn a_cell_of_two_lines_makes_a_message_of_one() {
        let sheet = Sheet::parse("a,b\n1,\"2\n3,4\"\n", "t.csv", Header::Auto).unwrap();
        let error = sheet.number(&sheet.rows()[0], 1).unwrap_err().to_string();
        assert_eq!(error, "t.csv, line 2, column 2 (b): `2…` is not a number");
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        let pieces = [
            "", ",", "\n", "\r", "\"", "0", "1", "é", "\u{feff}", ";", "nan",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let text = [a, b, c, d].concat();
                        for header in [Header::Auto, Header::Yes, Header::No] {
                            let Ok(sheet) = Sheet::parse(&text, "", header) else {
                                continue;
                            };
                            for row in sheet.rows() {
                                for column in 0..sheet.width() {
                                    let _ = sheet.number_if_any(row, column);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
