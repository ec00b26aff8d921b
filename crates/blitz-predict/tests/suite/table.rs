//! Tables as Parquet, read back by the crate that writes them. `table_reference.py` reads the same with pyarrow.

use std::fs::File;

use blitz_predict::table::{Table, TableError};
use blitz_predict::{CategoricalMixture, NormalMixture};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

/// The names of the columns, and their numbers row by row.
fn read(table: &Table, name: &str) -> (Vec<String>, Vec<Vec<f64>>) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("BLITZ_TABLES");
    let folder = folder.map_or_else(|| temporary.path().to_path_buf(), std::path::PathBuf::from);
    let path = folder.join(name);
    table.save(&path).unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let names = fields
        .iter()
        .map(|field| field.name().to_string())
        .collect();
    let number = |field: &Field| match field {
        Field::Double(value) => *value,
        Field::Long(value) => *value as f64,
        other => panic!("{other:?}"),
    };
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        row.get_column_iter()
            .map(|(_, field)| number(field))
            .collect()
    });
    (names, rows.collect())
}

#[test]
fn a_table_of_a_mixture_has_a_row_for_each_target_of_each_example() {
    // Two draws of three examples with two targets.
    let draws = [0.0, 1.0].map(|by| (0..6).map(|i| f64::from(i) + by).collect());
    let y = NormalMixture::new(draws.to_vec(), vec![0.5, 0.25], 2);
    let table = Table::of(&y, 0.9).real("truth", &[0.5; 6]).unwrap();
    let (names, rows) = read(&table, "predictions.parquet");
    assert_eq!(
        names,
        [
            "example",
            "target",
            "mean",
            "std",
            "epistemic_std",
            "aleatoric_std",
            "lower",
            "upper",
            "truth"
        ]
    );
    assert_eq!(rows.len(), 6);
    for (i, row) in rows.iter().enumerate() {
        let interval = y.interval(0.9)[i];
        let expected = [
            (i / 2) as f64,
            (i % 2) as f64,
            i as f64 + 0.5,
            y.std_dev()[i],
            y.epistemic_std()[i],
            y.aleatoric_std()[i],
            interval.lower,
            interval.upper,
            0.5,
        ];
        assert_eq!(row[..], expected);
    }
}

#[test]
fn a_table_of_classes_has_a_column_for_each() {
    let y = CategoricalMixture::from_logits([vec![2.0, 0.0, 1.0, 0.0, 3.0, 1.0]], 3);
    let (names, rows) = read(&Table::of_classes(&y), "classes.parquet");
    let expected = [
        "example",
        "predicted",
        "p_0",
        "p_1",
        "p_2",
        "entropy",
        "expected_entropy",
        "mutual_information",
    ];
    assert_eq!(names, expected);
    assert_eq!(rows[1][..2], [1.0, 1.0]);
    assert_eq!(rows[1][2..5], y.probabilities(1));
    assert_eq!(rows[1][5], y.entropy()[1]);
}

#[test]
fn draws_have_a_row_for_each_number() {
    let draws = [vec![1.0, f64::NAN, -0.0, 1e300], vec![5.0, 6.0, 7.0, 8.0]];
    let (names, rows) = read(&Table::of_draws(&draws, 2).unwrap(), "draws.parquet");
    assert_eq!(names, ["draw", "example", "target", "value"]);
    assert_eq!(rows[5], [1.0, 0.0, 1.0, 6.0]);
    assert_eq!(rows[3], [0.0, 1.0, 1.0, 1e300]);
    // What is no number stays what it is.
    assert!(rows[1][3].is_nan());
    assert!(rows[2][3].is_sign_negative());
    // No draws make a table without rows.
    let (_, rows) = read(&Table::of_draws(&[], 1).unwrap(), "none.parquet");
    assert!(rows.is_empty());
}

#[test]
fn what_makes_no_table_is_an_error() {
    let table = Table::new().whole("row", &[1, 2]).unwrap();
    assert_eq!(
        table.clone().real("mean", &[0.0]).unwrap_err().to_string(),
        "column mean has 1 values, the others have 2"
    );
    let twice = table.clone().real("row", &[0.0; 2]).unwrap_err();
    assert_eq!(twice, TableError::Twice { name: "row".into() });
    let draws = Table::of_draws(&[vec![0.0], vec![]], 1).unwrap_err();
    assert!(matches!(
        draws,
        TableError::Length {
            got: 0,
            expected: 1,
            ..
        }
    ));
    let draws = Table::of_draws(&[vec![0.0; 3], vec![0.0; 3]], 2).unwrap_err();
    assert_eq!(
        draws.to_string(),
        "a draw of 3 values is no whole number of examples of 2 targets"
    );
    assert_eq!(Table::new().save("nowhere.parquet"), Err(TableError::Empty));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not there").join("table.parquet");
    let Err(TableError::NotWritten { path: of, .. }) = table.save(&path) else {
        panic!("written");
    };
    assert_eq!(of, path);
    // A folder stands in the place of the file: nothing is left beside it.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(table.save(&taken).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
