//! A table of numbers: features, and the target in the last column.

use std::path::Path;

use blitz_train::{InputError, MixtureError, PredictError, Standardizer};
use clap::Args;

use super::{DataError, Format, Header, Sheet};

/// How a file of a table is written, and what becomes of rows with a missing value; flatten it into a command line that
/// has the file as `--data`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TableFormat {
    /// How its cells are written.
    #[command(flatten)]
    pub cells: Format,

    /// Leave out the rows of the data that lack a value. Rows are then counted without them.
    #[arg(long, requires = "data")]
    pub skip_incomplete: bool,
}

impl From<Header> for TableFormat {
    fn from(header: Header) -> Self {
        Self {
            cells: header.into(),
            ..Self::default()
        }
    }
}

/// Rows of features, each with the target to predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the data are called in the report.
    pub title: String,
    /// The unit of the target, as in "an error of 3 thousand dollars".
    pub unit: String,
    /// The names of the columns, the target's last; `column 1` and so on for a file without a header.
    pub names: Vec<String>,
    /// How many features a row has.
    pub n_features: usize,
    /// The features, row after row.
    pub features: Vec<f64>,
    /// The target of each row.
    pub targets: Vec<f64>,
}

impl Table {
    /// The Boston housing data, which the program carries with it. `data/README.md` says where they are from,
    /// and why they are an example of the past and not a model of houses.
    #[must_use]
    pub fn boston() -> Self {
        let table = Self::parse(
            include_str!("../../../regression/data/boston.csv"),
            "boston.csv",
            Header::Auto,
        )
        .expect("the shipped file is well formed");
        Self {
            title: "Boston housing".into(),
            unit: "thousand dollars".into(),
            ..table
        }
    }

    /// Reads a CSV file whose last column is the target.
    pub fn read(path: &Path, format: impl Into<TableFormat>) -> Result<Self, DataError> {
        let format = format.into();
        let table = Self::of(&Sheet::read(path, format.cells)?, format.skip_incomplete)?;
        let title = path
            .file_name()
            .map_or(table.title, |name| name.to_string_lossy().into_owned());
        Ok(Self { title, ..table })
    }

    /// How many rows there are.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.targets.len()
    }

    /// The features of the rows listed, row after row.
    #[must_use]
    pub fn features_of(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter()
            .flat_map(|&row| &self.features[row * self.n_features..][..self.n_features])
            .copied()
            .collect()
    }

    /// The targets of the rows listed.
    #[must_use]
    pub fn targets_of(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&row| self.targets[row]).collect()
    }

    /// The scalings of the features and of the target, fitted to the rows listed.
    pub fn standardizers(&self, rows: &[usize]) -> Result<(Standardizer, Standardizer), DataError> {
        // The cells are numbers, so what is left to go wrong is their size.
        let fit = |values: &[f64], columns, first: usize| {
            Standardizer::try_fit(values, columns).map_err(|error| match error {
                InputError::Column { column } => DataError::Scale {
                    column: first + column + 1,
                    name: self.names[first + column].clone(),
                },
                other => panic!("a table has rows of finite numbers: {other}"),
            })
        };
        Ok((
            fit(&self.features_of(rows), self.n_features, 0)?,
            fit(&self.targets_of(rows), 1, self.n_features)?,
        ))
    }

    /// The row that has no prediction, and why; or the error itself if it names none. The prediction was that of the
    /// rows listed.
    pub fn row_at_fault(
        &self,
        rows: &[usize],
        error: PredictError,
    ) -> Result<(usize, String), PredictError> {
        match error {
            PredictError::Mixture(MixtureError::NonFinite { example, what, .. }) => {
                Ok((rows[example], what))
            }
            PredictError::Input { example, index, .. } => {
                let name = &self.names[index[0]];
                let what = format!("{name} is beyond the numbers of the network");
                Ok((rows[example], what))
            }
            other => Err(other),
        }
    }

    fn parse(text: &str, file: &str, format: impl Into<TableFormat>) -> Result<Self, DataError> {
        let format = format.into();
        Self::of(
            &Sheet::parse(text, file, format.cells)?,
            format.skip_incomplete,
        )
    }

    fn of(sheet: &Sheet, skip_incomplete: bool) -> Result<Self, DataError> {
        let (file, width) = (sheet.file(), sheet.width());
        if width < 2 {
            return Err(DataError::TooFewColumns {
                file: file.into(),
                line: sheet.first_line(),
                found: width,
            });
        }
        if let Some(empty) = (0..width).find(|column| sheet.is_empty(*column)) {
            return Err(DataError::EmptyColumn {
                file: file.into(),
                column: empty + 1,
            });
        }
        if sheet.is_unnamed(0) {
            return Err(DataError::RowNumbers {
                file: file.into(),
                line: sheet.first_line(),
            });
        }
        let name = |column: usize| match sheet.name(column) {
            Some(name) => name.to_string(),
            None => format!("column {}", column + 1),
        };
        let names: Vec<String> = (0..width).map(name).collect();
        let mut features = Vec::new();
        let mut targets = Vec::new();
        for row in sheet.rows() {
            let cells = (0..width).map(|column| sheet.number(row, column));
            match cells.collect::<Result<Vec<f64>, _>>() {
                Ok(mut cells) => {
                    targets.extend(cells.pop());
                    features.extend(cells);
                }
                // A cell that is no number is a mistake all the same.
                Err(DataError::MissingCell { .. }) if skip_incomplete => {
                    for column in 0..width {
                        sheet.number_if_any(row, column)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if targets.is_empty() {
            return Err(DataError::NoRows { file: file.into() });
        }
        // All that a file says of the unit is what the column is called.
        let unit = format!("units of {}", names[width - 1]);
        Ok(Self {
            title: file.into(),
            unit,
            names,
            n_features: width - 1,
            features,
            targets,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::tabular::Split;

    fn parse(text: &str) -> Result<Table, DataError> {
        Table::parse(text, "houses.csv", Header::Auto)
    }

    fn message(text: &str) -> String {
        parse(text).expect_err("the text is malformed").to_string()
    }

    #[test]
    fn the_test_rows_do_not_leak_into_the_scale() {
        let (table, split) = (Table::boston(), Split::published(3).unwrap());
        let all: Vec<usize> = (0..table.n_rows()).collect();
        let (inputs, target) = table.standardizers(&split.train).unwrap();
        let (all_inputs, all_targets) = table.standardizers(&all).unwrap();
        assert_ne!(inputs, all_inputs);
        assert_ne!(target, all_targets);
        assert_eq!((inputs.columns(), target.columns()), (13, 1));
    }

    #[test]
    fn a_column_too_large_to_scale_is_named() {
        let table = parse("a,b,y\n0,0,1\n1,1.5e308,2\n").unwrap();
        let error = table.standardizers(&[0, 1]).unwrap_err().to_string();
        assert!(error.starts_with("column 2 (b)"), "{error}");
        let table = parse("a,b,y\n0,0,1\n1,1,1e300\n").unwrap();
        let error = table.standardizers(&[0, 1]).unwrap_err().to_string();
        assert!(error.starts_with("column 3 (y)"), "{error}");
    }

    #[test]
    fn boston_has_its_rows_in_the_published_order() {
        let table = Table::boston();
        assert_eq!((table.n_rows(), table.n_features), (506, 13));
        assert_eq!(table.names[0], "CRIM");
        assert_eq!(table.names[13], "MEDV");
        assert_eq!(table.features_of(&[0])[..3], [0.00632, 18.0, 2.31]);
        assert_eq!(
            table.targets_of(&[0, 173, 274, 505]),
            [24.0, 23.6, 32.4, 11.9]
        );
        assert_eq!(
            table
                .targets
                .iter()
                .filter(|&&target| target == 50.0)
                .count(),
            16
        );
    }

    #[test]
    fn header_is_optional() {
        let with = parse("rooms,price\n5,20\n6,30\n").unwrap();
        let without = parse("5,20\n6,30\n").unwrap();
        assert_eq!(with.names, ["rooms", "price"]);
        assert_eq!(with.unit, "units of price");
        assert_eq!(without.names, ["column 1", "column 2"]);
        assert_eq!(
            (&with.features, &with.targets),
            (&without.features, &without.targets)
        );
        assert_eq!(with.targets, [20.0, 30.0]);
    }

    #[test]
    fn spaces_crlf_quotes_and_a_byte_order_mark_are_no_matter() {
        let plain = parse("a,b,c\n1,2,3\n4,5,6\n").unwrap();
        assert_eq!(
            parse("\u{feff}a , b,c\r\n 1, 2 ,3\r\n4,5,\t6").unwrap(),
            plain
        );
        assert_eq!(
            parse("\"a\",\"b\",\"c\"\n\n\"1\",2,3\n4,5,6\n\n\n").unwrap(),
            plain
        );
        assert_eq!(parse("1e0,+2,4.\n").unwrap().features, [1.0, 2.0]);
    }

    #[test]
    fn cell_errors_name_line_and_column() {
        assert_eq!(
            message("a,b\n1,2\n3,?\n"),
            "houses.csv, line 3, column 2 (b): `?` is not a number; if it marks a missing value, say so with `--missing '?'`"
        );
        assert_eq!(
            message("1,2\n3,4\n5 m,6\n"),
            "houses.csv, line 3, column 1: `5 m` is not a number"
        );
        assert_eq!(
            message("a,b\n1, \n"),
            "houses.csv, line 2, column 2 (b): the cell is empty, or marked as missing; `--skip-incomplete` leaves its row out"
        );
        assert_eq!(
            message("1,2\n,4\n"),
            "houses.csv, line 2, column 1: the cell is empty, or marked as missing; `--skip-incomplete` leaves its row out"
        );
        assert_eq!(
            message("a,b\nNaN,2\n"),
            "houses.csv, line 2, column 1 (a): `NaN` is not a finite number; if it marks a missing value, say so with `--missing NaN`"
        );
        assert_eq!(
            message("a,b\n1,-inf\n"),
            "houses.csv, line 2, column 2 (b): `-inf` is not a finite number; if it marks a missing value, say so with `--missing -inf`"
        );
        assert_eq!(
            message("a,b\n1,1e999\n"),
            "houses.csv, line 2, column 2 (b): `1e999` is not a finite number; if it marks a missing value, say so with `--missing 1e999`"
        );
    }

    #[test]
    fn a_separator_at_the_end_of_each_line_makes_no_column() {
        let error = "houses.csv, column 3: no row has a value there, as where each line ends with a separator; leave the column out";
        assert_eq!(message("a,y,\n1,2,\n3,4,\n"), error);
        assert_eq!(message("1,2,\n3,4,\n"), error);
        let format = TableFormat {
            skip_incomplete: true,
            ..TableFormat::default()
        };
        let skipping = Table::parse("a,y,\n1,2,\n3,4,\n", "houses.csv", format);
        assert_eq!(skipping.unwrap_err().to_string(), error);
        // Values of a column with a name are missing.
        assert!(message("a,y\n1,\n3,\n").contains("--skip-incomplete"));
    }

    #[test]
    fn a_column_without_a_name_before_those_with_one_is_no_feature() {
        let error = message(",a,y\n0,1,2\n1,3,4\n");
        assert!(
            error.starts_with("houses.csv, line 1: the first column has no name"),
            "{error}"
        );
        assert!(parse("id,a,y\n0,1,2\n1,3,4\n").is_ok());
        assert!(parse("0.5,1,2\n1,3,5\n").is_ok());
    }

    #[test]
    fn rows_that_lack_a_value_are_left_out_on_request_and_no_others() {
        let format = TableFormat {
            cells: Format {
                missing: vec!["?".into()],
                ..Format::default()
            },
            skip_incomplete: true,
        };
        let read = |text: &str| Table::parse(text, "houses.csv", format.clone());
        let table = read("a,b,y\n1,2,3\n4,?,6\n7,8,\n9,10,11\n").unwrap();
        assert_eq!(table.features, [1.0, 2.0, 9.0, 10.0]);
        assert_eq!(table.targets, [3.0, 11.0]);
        let error = read("a,b,y\n1,,x\n").unwrap_err().to_string();
        assert!(
            error.contains("column 3 (y): `x` is not a number"),
            "{error}"
        );
        assert_eq!(
            read("a,b,y\n1,?,2\n").unwrap_err().to_string(),
            "houses.csv has no row of data"
        );
    }

    #[test]
    fn typing_error_in_the_first_row_is_not_taken_for_a_header() {
        assert_eq!(
            message("1,2O\n3,4\n"),
            "houses.csv, line 1, column 2: `2O` is not a number"
        );
    }

    #[test]
    fn ragged_line_names_what_was_expected() {
        assert_eq!(
            message("a,b\n1,2\n3\n"),
            "houses.csv, line 3: 1 cells, but the first line has 2"
        );
        assert_eq!(
            message("1,2\n3,4,5\n"),
            "houses.csv, line 2: 3 cells, but the first line has 2"
        );
        assert_eq!(
            message("a,b\n1,2,3\n"),
            "houses.csv, line 2: 3 cells, but the first line has 2"
        );
    }

    #[test]
    fn lines_are_counted_through_crlf_and_blank_lines() {
        assert_eq!(
            message("a,b\r\n1,2\r\n3,x\r\n"),
            "houses.csv, line 3, column 2 (b): `x` is not a number"
        );
        assert_eq!(
            message("a,b\n\n\n1,2\n\n3,x\n"),
            "houses.csv, line 6, column 2 (b): `x` is not a number"
        );
        assert_eq!(
            message("\n\r\n1,2\r\n\r\n3\r\n"),
            "houses.csv, line 5: 1 cells, but the first line has 2"
        );
        assert_eq!(
            message("\u{feff}1,x\n"),
            "houses.csv, line 1, column 2: `x` is not a number"
        );
    }

    #[test]
    fn table_without_rows_or_features_is_refused() {
        for text in ["", "\n\r\n", "a,b\n", "a,b\r\n\r\n"] {
            assert_eq!(message(text), "houses.csv has no row of data");
        }
        let one = "houses.csv, line 1: 1 column, but at least one feature and the target are needed; columns are \
                   separated by commas, by semicolons with `--decimal-comma`, or by what `--separator` says";
        assert_eq!(message("price\n5\n"), one);
        assert_eq!(message("1;2\n3;4\n"), one);
    }

    #[test]
    fn missing_and_unreadable_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Table::read(&folder.path().join("houses.csv"), Header::Auto).unwrap_err();
        assert!(matches!(missing, DataError::NotFound { .. }));
        assert!(missing.to_string().ends_with("houses.csv"), "{missing}");

        let binary = folder.path().join("binary.csv");
        std::fs::write(&binary, [0xff, 0xfe, b',', b'1']).unwrap();
        assert!(matches!(
            Table::read(&binary, Header::Auto),
            Err(DataError::Unreadable { .. })
        ));
        assert!(matches!(
            Table::read(folder.path(), Header::Auto),
            Err(DataError::Unreadable { .. })
        ));

        let good = folder.path().join("good.csv");
        std::fs::write(&good, "1,2\n").unwrap();
        let table = Table::read(&good, Header::Auto).unwrap();
        assert_eq!(
            (table.title.as_str(), table.targets),
            ("good.csv", vec![2.0])
        );
    }

    /// A cell as a program may write it.
    fn written(value: f64, style: u8) -> String {
        match style % 5 {
            0 => format!("{value}"),
            1 => format!("{value:e}"),
            2 => format!(" {value:?}\t"),
            3 => format!("\"{value}\""),
            _ => format!("{value:+}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_as_a_table_is_read_to_the_bit(
            width in 2..6usize,
            cells in prop::collection::vec((any::<f64>(), any::<u8>()), 6..60),
            named in any::<bool>(),
            line_end in prop::sample::select(vec!["\n", "\r\n"]),
            blanks in any::<u64>(),
            mark in any::<bool>(),
        ) {
            // What stands for a missing value in other files is refused, and other tests are of that.
            let is_number = |value: f64| value.is_finite() && !(9.9e36..1e37).contains(&value.abs());
            let cells: Vec<(f64, u8)> = cells
                .into_iter()
                .map(|(value, style)| (if is_number(value) { value } else { 0.5 }, style))
                .collect();
            let rows: Vec<&[(f64, u8)]> = cells.chunks_exact(width).collect();
            let mut text = String::from(if mark { "\u{feff}" } else { "" });
            let names: Vec<String> = (0..width).map(|column| format!("x{column}")).collect();
            if named {
                text += &(names.join(",") + line_end);
            }
            for (i, row) in rows.iter().enumerate() {
                let row: Vec<String> = row.iter().map(|(value, style)| written(*value, *style)).collect();
                text += &(row.join(",") + line_end);
                if blanks >> (i % 64) & 1 == 1 {
                    text += line_end;
                }
            }
            let header = if named { Header::Auto } else { Header::No };
            let table = Table::parse(&text, "written.csv", header).unwrap();
            prop_assert_eq!((table.n_rows(), table.n_features), (rows.len(), width - 1));
            if named {
                prop_assert_eq!(&table.names, &names);
            }
            for (i, row) in rows.iter().enumerate() {
                let read = [table.features_of(&[i]), table.targets_of(&[i])].concat();
                for (read, (wanted, _)) in read.iter().zip(*row) {
                    prop_assert_eq!(read.to_bits(), wanted.to_bits(), "{}", text);
                }
            }
        }
    }
}
