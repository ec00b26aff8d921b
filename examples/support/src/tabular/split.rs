//! Which rows train and which rows test.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;

use super::{DataError, read_text};

const BOSTON_SPLITS: &str = include_str!("../../../regression/data/test_splits.txt");
const README_SPLIT: &str = include_str!("../../../regression/data/readme_split.txt");
const BOSTON_ROWS: usize = 506;

/// A division of a table's rows, counted from 0, into those that train and those that test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The rows to train with, ascending.
    pub train: Vec<usize>,
    /// The rows to test with, ascending.
    pub test: Vec<usize>,
}

impl Split {
    /// How many published splits of the Boston data there are.
    pub const PUBLISHED: usize = 20;

    /// The `k`-th (from 0) of the twenty splits of the Boston data on which the literature reports its figures
    /// (Hernández-Lobato & Adams 2015, Gal & Ghahramani 2016).
    pub fn published(k: usize) -> Result<Self, DataError> {
        Self::parse(BOSTON_SPLITS, "Boston housing", k, BOSTON_ROWS)
    }

    /// The split of the Boston data in BLiTZ's README: scikit-learn's `train_test_split` with a quarter of the rows for
    /// the test and `random_state=42`.
    #[must_use]
    pub fn readme() -> Self {
        Self::parse(README_SPLIT, "readme_split.txt", 0, BOSTON_ROWS)
            .expect("the shipped file is well formed")
    }

    /// The `k`-th split (from 0) of a file in which each line lists the rows of one test set, for a table of `n_rows`.
    pub fn read(path: &Path, k: usize, n_rows: usize) -> Result<Self, DataError> {
        Self::parse(&read_text(path)?, &path.display().to_string(), k, n_rows)
    }

    /// Every split of such a file.
    pub fn read_all(path: &Path, n_rows: usize) -> Result<Vec<Self>, DataError> {
        let (text, file) = (read_text(path)?, path.display().to_string());
        // A file without a line has no split 0, and that is the error to give.
        (0..text.trim_end().lines().count().max(1))
            .map(|k| Self::parse(&text, &file, k, n_rows))
            .collect()
    }

    /// A random split with this share of the rows, rounded, for the test. The same seed gives the same split.
    pub fn random(n_rows: usize, test_fraction: f64, seed: u64) -> Result<Self, DataError> {
        let mut rows: Vec<usize> = (0..n_rows).collect();
        rows.shuffle(&mut ChaCha12Rng::seed_from_u64(seed));
        rows.truncate((n_rows as f64 * test_fraction).round() as usize);
        Self::from_test_rows(rows, n_rows, || {
            format!("a random split with {test_fraction} of the rows for the test")
        })
    }

    fn parse(text: &str, file: &str, k: usize, n_rows: usize) -> Result<Self, DataError> {
        let (file, line) = (file.to_string(), k + 1);
        let mut lines = text.trim_end().lines();
        let Some(entries) = lines.nth(k) else {
            return Err(DataError::NoSuchSplit {
                file,
                splits: text.trim_end().lines().count(),
                asked: k,
            });
        };

        let mut test = Vec::new();
        let mut listed = vec![false; n_rows];
        for entry in entries.split_whitespace() {
            let Ok(row) = entry.parse::<usize>() else {
                return Err(DataError::NotARow {
                    file,
                    line,
                    text: entry.into(),
                });
            };
            if row >= n_rows {
                return Err(DataError::RowOutOfRange {
                    file,
                    line,
                    row,
                    rows: n_rows,
                });
            }
            if std::mem::replace(&mut listed[row], true) {
                return Err(DataError::RepeatedRow { file, line, row });
            }
            test.push(row);
        }
        Self::from_test_rows(test, n_rows, || format!("{file}, line {line}"))
    }

    fn from_test_rows(
        mut test: Vec<usize>,
        n_rows: usize,
        split: impl Fn() -> String,
    ) -> Result<Self, DataError> {
        test.sort_unstable();
        let train: Vec<usize> = (0..n_rows)
            .filter(|row| test.binary_search(row).is_err())
            .collect();
        for (rows, purpose) in [(&test, "test"), (&train, "train")] {
            if rows.is_empty() {
                return Err(DataError::EmptySide {
                    split: split(),
                    purpose,
                    rows: n_rows,
                });
            }
        }
        Ok(Self { train, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, k: usize, n_rows: usize) -> String {
        Split::parse(text, "splits.txt", k, n_rows)
            .expect_err("the text is malformed")
            .to_string()
    }

    fn assert_partition(split: &Split, n_rows: usize) {
        let mut rows = [split.train.clone(), split.test.clone()].concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..n_rows).collect::<Vec<_>>());
    }

    #[test]
    fn published_splits_divide_all_rows_into_455_and_51() {
        for k in 0..Split::PUBLISHED {
            let split = Split::published(k).unwrap();
            assert_eq!((split.train.len(), split.test.len()), (455, 51));
            assert_partition(&split, BOSTON_ROWS);
        }
        assert_eq!(Split::published(0).unwrap().test[..4], [1, 7, 22, 37]);
        assert_eq!(
            Split::published(20).unwrap_err().to_string(),
            "Boston housing has 20 splits, counted from 0: there is no split 20"
        );
    }

    #[test]
    fn readme_split_is_that_of_scikit_learn() {
        let split = Split::readme();
        assert_eq!((split.train.len(), split.test.len()), (379, 127));
        assert_partition(&split, BOSTON_ROWS);
        // The first rows of NumPy's permutation of 506 with seed 42; `train_test_split` tests on its first 127.
        for row in [173, 274, 491, 72, 452, 76, 316, 140, 471, 500] {
            assert!(split.test.contains(&row), "row {row}");
        }
    }

    #[test]
    fn random_split_is_a_function_of_its_seed() {
        let split = Split::random(100, 0.1, 7).unwrap();
        assert_partition(&split, 100);
        assert_eq!(split, Split::random(100, 0.1, 7).unwrap());
        assert_ne!(split, Split::random(100, 0.1, 8).unwrap());
        // Stability: another algorithm would silently change every figure reported on a random split.
        assert_eq!(split.test, [37, 40, 46, 60, 69, 76, 78, 81, 88, 91]);
    }

    #[test]
    fn random_split_rounds_and_refuses_an_empty_side() {
        assert_eq!(Split::random(506, 0.1, 0).unwrap().test.len(), 51);
        assert_eq!(Split::random(3, 0.5, 0).unwrap().test.len(), 2);
        let empty = |fraction| Split::random(4, fraction, 0).unwrap_err().to_string();
        assert_eq!(
            empty(0.1),
            "a random split with 0.1 of the rows for the test leaves no row to test with, out of 4"
        );
        assert_eq!(
            empty(1.0),
            "a random split with 1 of the rows for the test leaves no row to train with, out of 4"
        );
        assert_eq!(
            empty(f64::NAN),
            "a random split with NaN of the rows for the test leaves no row to test with, out of 4"
        );
        assert!(Split::random(1, 0.5, 0).is_err());
    }

    #[test]
    fn faulty_split_files_name_the_line() {
        assert_eq!(
            message("0 1\n2 x\n", 1, 4),
            "splits.txt, line 2: `x` is not a row number"
        );
        assert_eq!(
            message("-1\n", 0, 4),
            "splits.txt, line 1: `-1` is not a row number"
        );
        assert_eq!(
            message("0 4\n", 0, 4),
            "splits.txt, line 1: there is no row 4, the data have 4 rows, counted from 0"
        );
        assert_eq!(
            message("2 0 2\n", 0, 4),
            "splits.txt, line 1: row 2 is listed twice"
        );
        assert_eq!(
            message("0\n\n1\n", 1, 4),
            "splits.txt, line 2 leaves no row to test with, out of 4"
        );
        assert_eq!(
            message("3 2 1 0\n", 0, 4),
            "splits.txt, line 1 leaves no row to train with, out of 4"
        );
        assert_eq!(
            message("0\n1\n\n", 2, 4),
            "splits.txt has 2 splits, counted from 0: there is no split 2"
        );
    }

    #[test]
    fn split_files_are_read_whole_or_by_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("splits.txt");
        std::fs::write(&path, "0 2\r\n3\r\n").unwrap();
        assert_eq!(
            Split::read(&path, 0, 4).unwrap(),
            Split {
                train: vec![1, 3],
                test: vec![0, 2]
            }
        );
        assert_eq!(
            Split::read_all(&path, 4).unwrap()[1],
            Split {
                train: vec![0, 1, 2],
                test: vec![3]
            }
        );
        assert_eq!(Split::read_all(&path, 4).unwrap().len(), 2);

        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(
            Split::read_all(&path, 4),
            Err(DataError::NoSuchSplit { splits: 0, .. })
        ));
        assert!(matches!(
            Split::read(&folder.path().join("none"), 0, 4),
            Err(DataError::NotFound { .. })
        ));
    }
}
