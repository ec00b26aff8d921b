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
    assert!(message("a;b\n1,5;2,5\n").ends_with("or by semicolons with `--separator semicolon`"));
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
