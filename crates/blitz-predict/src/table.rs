//! Predictions and draws as Parquet, for Arrow, Polars, pandas, R and whatever else reads it (feature `parquet`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Repetition, Type as Physical};
use parquet::data_type::{DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::distribution::Distribution;
use crate::mixture::{CategoricalMixture, Mixture};
use crate::place::in_place;

/// Columns of equal length, each with a name: what is predicted for some examples, or the draws it is made of.
///
/// ```
/// use blitz_predict::table::Table;
/// use blitz_predict::NormalMixture;
///
/// # fn main() -> Result<(), blitz_predict::table::TableError> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let y = NormalMixture::new(vec![vec![1.0, 2.0], vec![1.2, 2.4]], vec![0.5], 1);
/// let table = Table::of(&y, 0.95).whole("row", &[17, 4])?.real("truth", &[1.3, 1.8])?;
/// assert_eq!(table.rows(), 2);
/// table.save(folder.join("predictions.parquet"))?;
/// // In Python: polars.read_parquet("predictions.parquet")
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    columns: Vec<(String, Column)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Column {
    Real(Vec<f64>),
    Whole(Vec<i64>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.len(),
            Self::Whole(values) => values.len(),
        }
    }
}

/// Why there is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A column has another length than the first.
    #[error("column {name} has {got} values, the others have {expected}")]
    Length {
        /// The column.
        name: String,
        /// The length of the others.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A draw is no whole number of examples.
    #[error("a draw of {values} values is no whole number of examples of {targets} targets")]
    Ragged {
        /// The values of a draw.
        values: usize,
        /// The targets of an example.
        targets: usize,
    },
    /// Two columns have one name.
    #[error("there is a column {name} already")]
    Twice {
        /// The name.
        name: String,
    },
    /// There is nothing to write.
    #[error("a table needs a column")]
    Empty,
    /// The file could not be written.
    #[error("cannot write the table {path}: {reason}", path = path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Table {
    /// Without columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The predictions of a mixture: `example` and `target`, counted from 0, `mean`, `std`, `epistemic_std`,
    /// `aleatoric_std`, and the ends `lower` and `upper` of the central interval of probability `level`.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn of<C: Distribution>(mixture: &Mixture<C>, level: f64) -> Self {
        let (lower, upper) = mixture
            .interval(level)
            .into_iter()
            .map(|interval| (interval.lower, interval.upper))
            .unzip();
        let mean = mixture.mean();
        let [example, target] = places(mean.len(), mixture.targets());
        Self {
            columns: vec![
                ("example".into(), example),
                ("target".into(), target),
                ("mean".into(), Column::Real(mean)),
                ("std".into(), Column::Real(mixture.std_dev())),
                (
                    "epistemic_std".into(),
                    Column::Real(mixture.epistemic_std()),
                ),
                (
                    "aleatoric_std".into(),
                    Column::Real(mixture.aleatoric_std()),
                ),
                ("lower".into(), Column::Real(lower)),
                ("upper".into(), Column::Real(upper)),
            ],
        }
    }

    /// The predictions of a classification: `example`, the `predicted` class, the probabilities `p_0`, `p_1`, …, and in
    /// nats the `entropy`, the `expected_entropy` of the draws and their `mutual_information`.
    pub fn of_classes(mixture: &CategoricalMixture) -> Self {
        let whole =
            |values: Vec<usize>| Column::Whole(values.into_iter().map(|v| v as i64).collect());
        let mut columns = vec![
            ("example".to_string(), whole((0..mixture.len()).collect())),
            ("predicted".to_string(), whole(mixture.predicted())),
        ];
        let rows: Vec<Vec<f64>> = (0..mixture.len())
            .map(|i| mixture.probabilities(i))
            .collect();
        for class in 0..mixture.classes() {
            let column = rows.iter().map(|row| row[class]).collect();
            columns.push((format!("p_{class}"), Column::Real(column)));
        }
        for (name, values) in [
            ("entropy", mixture.entropy()),
            ("expected_entropy", mixture.expected_entropy()),
            ("mutual_information", mixture.mutual_information()),
        ] {
            columns.push((name.into(), Column::Real(values)));
        }
        Self { columns }
    }

    /// Draws of `targets` numbers for each example, a row a number: `draw`, `example`, `target`, counted from 0, and
    /// `value`. What [`Mixture::sample`] returns, or the weights of a chain.
    ///
    /// # Errors
    ///
    /// Returns an error unless the draws have the same length, a multiple of the targets.
    ///
    /// # Panics
    ///
    /// Panics without targets.
    pub fn of_draws(draws: &[Vec<f64>], targets: usize) -> Result<Self, TableError> {
        assert!(targets > 0, "a draw needs targets, got 0");
        let len = draws.first().map_or(0, Vec::len);
        if let Some((draw, values)) = draws.iter().enumerate().find(|(_, d)| d.len() != len) {
            return Err(TableError::Length {
                name: format!("of draw {draw}"),
                expected: len,
                got: values.len(),
            });
        }
        if !len.is_multiple_of(targets) {
            return Err(TableError::Ragged {
                values: len,
                targets,
            });
        }
        let number = (0..draws.len()).flat_map(|draw| std::iter::repeat_n(draw as i64, len));
        let (example, target): (Vec<i64>, Vec<i64>) = (0..draws.len() * len)
            .map(|i| i % len)
            .map(|i| ((i / targets) as i64, (i % targets) as i64))
            .unzip();
        Ok(Self {
            columns: vec![
                ("draw".into(), Column::Whole(number.collect())),
                ("example".into(), Column::Whole(example)),
                ("target".into(), Column::Whole(target)),
                ("value".into(), Column::Real(draws.concat())),
            ],
        })
    }

    /// With one more column, of real numbers.
    ///
    /// # Errors
    ///
    /// Returns an error if it has another length than the others, or the name of one.
    pub fn real(self, name: impl Into<String>, values: &[f64]) -> Result<Self, TableError> {
        self.with(name.into(), Column::Real(values.to_vec()))
    }

    /// With one more column, of whole numbers.
    ///
    /// # Errors
    ///
    /// As [`real`](Self::real).
    pub fn whole(self, name: impl Into<String>, values: &[i64]) -> Result<Self, TableError> {
        self.with(name.into(), Column::Whole(values.to_vec()))
    }

    fn with(mut self, name: String, column: Column) -> Result<Self, TableError> {
        let got = column.len();
        if self.columns.iter().any(|(other, _)| *other == name) {
            return Err(TableError::Twice { name });
        }
        if !self.columns.is_empty() && got != self.rows() {
            let expected = self.rows();
            return Err(TableError::Length {
                name,
                expected,
                got,
            });
        }
        self.columns.push((name, column));
        Ok(self)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Writes the table as a Parquet file: without compression, real numbers as `DOUBLE` and whole ones as `INT64`,
    /// none of them optional.
    ///
    /// The file is written beside `path` first, so that a program that is killed leaves the file before, or none.
    ///
    /// # Errors
    ///
    /// Returns an error without columns, and if the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TableError> {
        if self.columns.is_empty() {
            return Err(TableError::Empty);
        }
        let path = path.as_ref();
        let failed = |reason: String| TableError::NotWritten {
            path: path.into(),
            reason,
        };
        let bytes = self.to_bytes().map_err(|error| failed(error.to_string()))?;
        let placed = in_place(path, |part| fs::write(part, bytes));
        placed.map_err(|error| failed(error.to_string()))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, ParquetError> {
        let fields = self.columns.iter().map(|(name, column)| {
            let kind = match column {
                Column::Real(_) => Physical::DOUBLE,
                Column::Whole(_) => Physical::INT64,
            };
            let field = Type::primitive_type_builder(name, kind);
            let field = field.with_repetition(Repetition::REQUIRED);
            field.build().map(Arc::new)
        });
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let schema = Type::group_type_builder("table").with_fields(fields);
        let properties = WriterProperties::builder().build();
        let mut bytes = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut bytes, Arc::new(schema.build()?), Arc::new(properties))?;
        let mut rows = writer.next_row_group()?;
        for (_, values) in &self.columns {
            let Some(mut column) = rows.next_column()? else {
                unreachable!("the schema has a field for each column")
            };
            match values {
                Column::Real(values) => column
                    .typed::<DoubleType>()
                    .write_batch(values, None, None)?,
                Column::Whole(values) => column
                    .typed::<Int64Type>()
                    .write_batch(values, None, None)?,
            };
            column.close()?;
        }
        rows.close()?;
        writer.close()?;
        Ok(bytes)
    }
}

/// The example and the target of each of `values` predictions in row-major order.
fn places(values: usize, targets: usize) -> [Column; 2] {
    let targets = targets.max(1);
    let place = |of: fn(usize, usize) -> usize| {
        Column::Whole((0..values).map(|i| of(i, targets) as i64).collect())
    };
    [
        place(|i, targets| i / targets),
        place(|i, targets| i % targets),
    ]
}
