//! A time series, and the windows of it that the network sees.

mod time;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use self::time::{on_one_scale, parse_all};
use crate::RunError;
use crate::tabular::{DataError, Format, Header, Row, Sheet};

const CO2: &str = include_str!("../../data/co2.csv");
const SUNSPOTS: &str = include_str!("../../data/sunspots.csv");

/// A series of equally spaced values, some of them missing.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// The unit of its values.
    pub unit: String,
    /// The time of each value, in years where it is known, else its number.
    pub times: Vec<f64>,
    /// The values; missing ones lie on a line between their neighbours.
    pub values: Vec<f64>,
    /// Which values were measured.
    pub measured: Vec<bool>,
    /// What is missing of it, if anything is.
    pub missing: Option<Missing>,
}

/// How many values of a series are missing, whether their cells are empty or their times left out.
///
/// Times that are no numbers to count by, such as a clock's 655 and 700, have gaps where none is: whoever reads of them
/// can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The number of missing values.
    pub values: usize,
    /// The number of gaps that they make.
    pub gaps: usize,
    /// The line of the first: that of the empty value or, of a time that is left out, of the one after it.
    pub first_line: usize,
}

impl Missing {
    fn of(points: &[Point]) -> Option<Self> {
        let first = points.iter().find(|point| point.value.is_none())?;
        let is_missing = |point: &Point| point.value.is_none();
        let runs = points.chunk_by(|a, b| is_missing(a) == is_missing(b));
        Some(Self {
            values: points.iter().filter(|point| is_missing(point)).count(),
            gaps: runs.filter(|run| is_missing(&run[0])).count(),
            first_line: first.line,
        })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (values, gaps) = (self.values, self.gaps);
        write!(
            f,
            "{values} value{} in {gaps} gap{}, the first at line {}",
            plural(values),
            plural(gaps),
            self.first_line
        )
    }
}

/// A value of a series as it is read.
struct Point {
    time: f64,
    /// `None` if it is missing.
    value: Option<f64>,
    /// Its line or, of a time that is left out, that of the next.
    line: usize,
}

impl Series {
    /// Weekly CO₂ at Mauna Loa.
    pub fn co2() -> Self {
        Self::shipped("CO₂ at Mauna Loa, weekly", "ppm", CO2)
    }

    /// Yearly sunspot numbers.
    pub fn sunspots() -> Self {
        Self::shipped("sunspots, yearly", "sunspot number", SUNSPOTS)
    }

    fn shipped(name: &str, unit: &str, text: &str) -> Self {
        let sheet = Sheet::parse(text, name, Header::Auto);
        let series = sheet.and_then(|sheet| Self::of(name, unit, &sheet));
        series.unwrap_or_else(|_| unreachable!("the shipped file is sound"))
    }

    /// A table of one column, the values, or two, times and values. An empty value is missing, and so is one whose time
    /// is left out.
    ///
    /// Rows may be in any order of their times. In a file without times a blank line is an empty value.
    pub fn read(path: &Path, format: impl Into<Format>) -> Result<Self, RunError> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match Sheet::read(path, format).and_then(|sheet| Self::of(&name, "", &sheet)) {
            Err(DataError::NoRows { .. }) => Err(RunError::data(path, "there are no values")),
            series => Ok(series?),
        }
    }

    fn of(name: &str, unit: &str, sheet: &Sheet) -> Result<Self, DataError> {
        let points = match sheet.width() {
            1 => without_times(sheet)?,
            2 => with_times(sheet)?,
            columns => {
                let names = (0..columns).filter_map(|column| sheet.name(column));
                return Err(DataError::Columns {
                    file: sheet.file().into(),
                    line: sheet.first_line(),
                    found: columns,
                    names: names.collect::<Vec<_>>().join(", "),
                });
            }
        };
        let values: Vec<Option<f64>> = points.iter().map(|point| point.value).collect();
        let measured: Vec<bool> = values.iter().map(Option::is_some).collect();
        if !measured.contains(&true) {
            return Err(DataError::NoRows {
                file: sheet.file().into(),
            });
        }
        Ok(Self {
            name: name.to_string(),
            unit: unit.to_string(),
            times: points.iter().map(|point| point.time).collect(),
            values: fill(&values),
            measured,
            missing: Missing::of(&points),
        })
    }
}

/// Beyond this no value is a measurement, and the squares of few enough of them are still numbers.
const LARGEST: f64 = 1e30;

/// The value of a row, in the last column; `None` if it is missing.
fn value(sheet: &Sheet, row: &Row) -> Result<Option<f64>, DataError> {
    let value = sheet.number_if_any(row, sheet.width() - 1)?;
    match value.filter(|value| value.abs() > LARGEST) {
        None => Ok(value),
        Some(_) => Err(sheet.fault(
            row,
            format!(
                "`{}` is too large to be a measurement; leave the cell empty, or name the mark by `--missing`, if the value is missing",
                row.cell(sheet.width() - 1)
            ),
        )),
    }
}

/// Values in the order of the file, with their numbers for times.
fn without_times(sheet: &Sheet) -> Result<Vec<Point>, DataError> {
    let mut points: Vec<Point> = Vec::new();
    let mut next_line = None;
    for row in sheet.rows() {
        let blank = next_line.map_or(0, |next| row.line.saturating_sub(next));
        let values = std::iter::repeat_n(None, blank).chain([value(sheet, row)?]);
        for (after, value) in values.enumerate() {
            points.push(Point {
                time: points.len() as f64,
                value,
                line: row.line - (blank - after),
            });
        }
        next_line = Some(row.line + 1);
    }
    Ok(points)
}

/// Values in the order of their times, with those between that are missing.
fn with_times(sheet: &Sheet) -> Result<Vec<Point>, DataError> {
    let rows = sheet.rows();
    let cells: Result<Vec<String>, _> = rows.iter().map(|row| sheet.text(row, 0)).collect();
    let times = parse_all(&cells?).map_err(|(at, reason)| sheet.fault(&rows[at], reason))?;
    let scale = on_one_scale(&times).map_err(|other| {
        let reason = format!(
            "`{}` is a time of another kind than `{}` in line {}",
            rows[other].cell(0),
            rows[0].cell(0),
            rows[0].line
        );
        sheet.fault(&rows[other], reason)
    })?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| scale[*a].total_cmp(&scale[*b]));

    let steps = order.windows(2).map(|pair| scale[pair[1]] - scale[pair[0]]);
    let mut steps: Vec<f64> = steps.filter(|step| *step > 0.0).collect();
    steps.sort_by(f64::total_cmp);
    // The lower of two in the middle: a step can be too long, by what is missing, but not too short.
    let middle = steps.len().saturating_sub(1) / 2;
    let usual = steps.get(middle).copied().unwrap_or(1.0);
    let mut points: Vec<Point> = Vec::with_capacity(rows.len());
    // What may be missing still, in all gaps together.
    let mut left = rows.len();
    for (at, &this) in order.iter().enumerate() {
        let row = &rows[this];
        if let Some(before) = at.checked_sub(1).map(|before| order[before]) {
            let step = scale[this] - scale[before];
            let missing = missing_between(step, usual, left).map_err(|reason| {
                let reason = reason.replace(
                    "{before}",
                    &format!("`{}` in line {}", rows[before].cell(0), rows[before].line),
                );
                sheet.fault(
                    row,
                    format!("the time `{}` {reason}{}", row.cell(0), remedy(sheet)),
                )
            })?;
            left -= missing;
            let (from, to) = (times[before].years(), times[this].years());
            let between = (1..=missing).map(|i| {
                let share = i as f64 / (missing + 1) as f64;
                Point {
                    time: from + (to - from) * share,
                    value: None,
                    line: row.line,
                }
            });
            points.extend(between);
        }
        points.push(Point {
            time: times[this].years(),
            value: value(sheet, row)?,
            line: row.line,
        });
    }
    Ok(points)
}

/// How many values are missing in a step of time, at most `left`, where `usual` is the step from one value to the next;
/// or what is wrong with the step.
fn missing_between(step: f64, usual: f64, left: usize) -> Result<usize, String> {
    // A quarter lets months have as many days as they have, and decimal years be rounded.
    const TOLERANCE: f64 = 0.25;
    if step <= 0.0 {
        return Err("is the same as {before}".into());
    }
    let steps = step / usual;
    if !steps.is_finite() || steps.round() < 1.0 || (steps - steps.round()).abs() > TOLERANCE {
        return Err(format!(
            "comes {step} after {{before}}, where the usual step is {usual}: values must be equally spaced, or be missing"
        ));
    }
    match steps.round() as usize - 1 {
        missing if missing > left => Err(format!(
            "comes {} steps after {{before}}: more are missing than there are",
            steps.round()
        )),
        missing => Ok(missing),
    }
}

/// What a wrong time may come from: a comma in the place of a decimal point makes two whole numbers of one value.
fn remedy(sheet: &Sheet) -> &'static str {
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rows = sheet.rows().iter();
    let mut cells = rows.flat_map(|row| [row.cell(0), row.cell(1)]);
    match cells.all(is_whole) {
        true => "; if these are values with a decimal comma, say so with `--decimal-comma`",
        false => "",
    }
}

/// Missing values on a line between their neighbours, or equal to the only one.
fn fill(values: &[Option<f64>]) -> Vec<f64> {
    let mut filled: Vec<f64> = Vec::with_capacity(values.len());
    // The value that is known last, and its place.
    let mut before: Option<(usize, f64)> = None;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        let gap = filled.len()..at;
        match before {
            Some((from, known)) => filled.extend(
                gap.map(|i| known + (value - known) * (i - from) as f64 / (at - from) as f64),
            ),
            None => filled.extend(gap.map(|_| value)),
        }
        filled.push(value);
        before = Some((at, value));
    }
    let last = before.map_or(0.0, |(_, value)| value);
    filled.resize(values.len(), last);
    filled
}

/// What the network sees and is asked: the last values, relative to the very last, and the step to the next.
#[derive(Debug, Clone)]
pub struct Window {
    /// The number of the value to forecast.
    pub target: usize,
    /// The value before it.
    pub last: f64,
    /// The values before it minus the last, oldest first.
    pub inputs: Vec<f64>,
    /// The step from the last value to the target.
    pub step: f64,
}

impl Series {
    /// The windows of `length` values before each value that was measured, as was the one before it.
    pub fn windows(&self, length: usize) -> Vec<Window> {
        let targets = (length..self.values.len())
            .filter(|target| self.measured[*target] && self.measured[*target - 1]);
        let window = |target: usize| {
            let last = self.values[target - 1];
            let inputs = self.values[target - length..target].iter();
            Window {
                target,
                last,
                inputs: inputs.map(|value| value - last).collect(),
                step: self.values[target] - last,
            }
        };
        targets.map(window).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    #[test]
    fn the_shipped_series_are_all_there() {
        let co2 = Series::co2();
        assert_eq!(co2.values.len(), 2284);
        assert_eq!(
            co2.measured.iter().filter(|measured| !**measured).count(),
            59
        );
        assert!((co2.times[0] - 1958.24).abs() < 0.01, "{}", co2.times[0]);
        let sunspots = Series::sunspots();
        assert_eq!((sunspots.times[0], sunspots.values[0]), (1700.0, 5.0));
        assert_eq!(sunspots.values.len(), 309);
    }

    #[test]
    fn gaps_lie_on_a_line_and_are_no_targets() {
        let series = parse("1\n2\n\"\"\n\"\"\n5\n6\n7\n").unwrap();
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let windows = series.windows(2);
        // 5 follows a gap, so that its step is not known.
        assert_eq!(windows.iter().map(|w| w.target).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(
            (windows[0].inputs.as_slice(), windows[0].step),
            (&[-1.0, 0.0][..], 1.0)
        );
    }

    #[test]
    fn a_gap_is_filled_in_a_time_that_grows_with_its_length_and_not_with_its_square() {
        const GAP: usize = 1_000_000;
        let mut values = vec![None; GAP + 2];
        values[0] = Some(0.0);
        values[GAP + 1] = Some((GAP + 1) as f64);
        // By looking for both neighbours of each value this would take ten minutes.
        let filled = fill(&values);
        assert!((0..GAP + 2).all(|i| (filled[i] - i as f64).abs() < 1e-6));
        assert_eq!(fill(&[None, None, Some(3.0), None]), [3.0; 4]);
        assert_eq!(fill(&[None, None]), [0.0; 2]);
    }

    #[test]
    fn what_is_not_a_number_is_named_with_its_line() {
        assert_eq!(
            message("time,value\n1,2\n2,three\n"),
            "s.csv, line 3, column 2 (value): `three` is not a number"
        );
        for text in ["", "value\n", "1,\n2,\n", "value\n\"\"\n"] {
            assert_eq!(message(text), "s.csv has no row of data", "{text}");
        }
    }

    #[test]
    fn rows_are_put_in_the_order_of_their_times() {
        let oldest_first = parse("1990,1\n1991,2\n1992,4\n1993,8\n").unwrap();
        let newest_first = parse("1993,8\n1992,4\n1991,2\n1990,1\n").unwrap();
        let shuffled = parse("1992,4\n1990,1\n1993,8\n1991,2\n").unwrap();
        for series in [&oldest_first, &newest_first, &shuffled] {
            assert_eq!(series.times, [1990.0, 1991.0, 1992.0, 1993.0]);
            assert_eq!(series.values, [1.0, 2.0, 4.0, 8.0]);
        }
    }

    #[test]
    fn a_time_that_is_left_out_is_a_gap() {
        let series = parse("1990,1\n1991,2\n1994,5\n1995,6\n1996,7\n").unwrap();
        assert_eq!(series.times.len(), 7);
        assert_eq!(series.times[3], 1993.0);
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(
            series.measured,
            [true, true, false, false, true, true, true]
        );
        // By months, too, and by weeks.
        let months = "2020-01-01,1\n2020-02-01,2\n2020-04-01,4\n2020-05-01,5\n";
        assert_eq!(parse(months).unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0]);
        let weeks = "20200101,1\n20200108,2\n20200122,4\n20200129,5\n";
        assert_eq!(parse(weeks).unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0]);
        // Decimal years of months are rounded.
        let decimal = "1958.2027,1\n1958.2877,2\n1958.3699,3\n1958.5370,5\n1958.6219,6\n";
        assert_eq!(parse(decimal).unwrap().values.len(), 6);
    }

    /// A clock's times are no numbers to count by, and read as such they have gaps that are none.
    #[test]
    fn what_is_missing_is_counted_with_the_line_of_the_first() {
        let clock = |hour: usize| (0..12).map(move |five| 100 * hour + 5 * five);
        let rows = (6..9).flat_map(clock).map(|time| format!("{time},1\n"));
        let series = parse(&rows.collect::<String>()).unwrap();
        let missing = series.missing.unwrap();
        assert_eq!(
            missing.to_string(),
            "16 values in 2 gaps, the first at line 13"
        );
        let of = |text: &str| {
            let missing = parse(text).unwrap().missing;
            missing.map(|missing| (missing.values, missing.gaps, missing.first_line))
        };
        assert_eq!(of("1990,1\n1991,2\n1992,3\n"), None);
        assert_eq!(of("1990,1\n1991,\n1993,3\n1994,4\n"), Some((2, 1, 2)));
        assert_eq!(of("1994,5\n1992,3\n1991,2\n1990,1\n"), Some((1, 1, 1)));
        assert_eq!(of("1\n2\n\n\n5\n\"\"\n"), Some((3, 2, 3)));
        assert_eq!(of("y\n\"\"\n2\n"), Some((1, 1, 2)));
        let co2 = Series::co2().missing.unwrap();
        assert_eq!(co2.to_string(), "59 values in 22 gaps, the first at line 8");
        assert_eq!(Series::sunspots().missing, None);
    }

    #[test]
    fn gaps_together_are_no_longer_than_the_series() {
        // Each gap lacks 18 values, of 20 that are there.
        let rows = (0..10).map(|i| format!("{},1\n{},2\n", 1900 + 20 * i, 1901 + 20 * i));
        let message = message(&rows.collect::<String>());
        assert!(
            message.starts_with(
                "s.csv, line 5: the time `1940` comes 19 steps after `1921` in line 4"
            ) && message.contains("more are missing than there are"),
            "{message}"
        );
    }

    #[test]
    fn a_blank_line_is_a_gap_where_there_are_no_times() {
        let series = parse("1\n2\n\n4\r\n5\n\n\n").unwrap();
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(series.measured, [true, true, false, true, true]);
        // Where there are, they tell.
        let series = parse("1990,1\n1991,2\n\n1992,3\n").unwrap();
        assert_eq!(series.measured, [true; 3]);
    }

    #[test]
    fn times_that_make_no_sense_are_refused_with_their_line() {
        for (text, line, said) in [
            (
                "1990,1\n1991,2\n1991,3\n1992,4\n",
                3,
                "the same as `1991` in line 2",
            ),
            ("1990,1\n1991,2\n1992.5,3\n1993.5,4\n", 3, "usual step is 1"),
            (
                "1990,1\n1991,2\n1992,3\n19930,4\n",
                4,
                "more are missing than there are",
            ),
            ("1990,1\n,2\n1992,3\n", 2, "the time is missing"),
            ("1990,1\nlast year,2\n", 2, "`last year` is no time"),
            ("1990,1\nNaN,2\n", 2, "is no time"),
            ("2020-01-01,1\n2020-02-31,2\n", 2, "is no day of any year"),
            ("2020-01-01,1\n2020,2\n", 2, "another kind"),
        ] {
            let message = message(text);
            assert!(
                message.starts_with(&format!("s.csv, line {line}")) && message.contains(said),
                "{text:?}: {message}"
            );
        }
    }

    #[test]
    fn a_decimal_comma_is_refused() {
        let message = message("10,5996\n10,7012\n9,8013\n11,0021\n");
        assert!(
            message.contains("line 2") && message.contains("decimal comma"),
            "{message}"
        );
    }

    #[test]
    fn a_point_in_a_time_is_no_decimal_comma() {
        let format = Format {
            decimal_comma: true,
            ..Format::default()
        };
        let of = |text: &str| {
            let sheet = Sheet::parse(text, "s.csv", format.clone());
            sheet.and_then(|sheet| Series::of("s", "", &sheet))
        };
        let series = of("1900,5;1,5\n1901,5;2,5\n1902,5;3,5\n").unwrap();
        assert_eq!(series.times, [1900.5, 1901.5, 1902.5]);
        assert_eq!(series.values, [1.5, 2.5, 3.5]);
        let error = of("1.900;1,5\n1.901;2,5\n1.902;3,5\n").unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("s.csv, line 1: `1.900` has a point"),
            "{error}"
        );
    }

    #[test]
    fn minutes_of_eight_digits_are_numbers() {
        let minutes = "9999998,1\n9999999,2\n10000000,3\n10000002,5\n";
        let series = parse(minutes).unwrap();
        assert_eq!(series.times[4], 10_000_002.0);
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(
            parse("29400000,1\n29400001,2\n").unwrap().times[1],
            29_400_001.0
        );
    }

    #[test]
    fn columns_too_many_are_refused_with_their_names() {
        assert_eq!(
            message("date,price,volume,open\n1,2,3,4\n"),
            "s.csv, line 1: 4 columns (date, price, volume, open), where a series has one, of values, or two, of times and values"
        );
        assert_eq!(
            message("\n1,2,4\n"),
            "s.csv, line 2: 3 columns, where a series has one, of values, or two, of times and values"
        );
        assert!(message("1990,1\n1991,2,3\n").contains("line 2: 3 cells"));
    }

    #[test]
    fn values_too_large_to_be_measured_are_refused_with_their_line() {
        for value in ["9.97e36", "1e308", "-1e31", "inf", "NaN", "1e999"] {
            let message = message(&format!("1990,1\n1991,{value}\n1992,3\n"));
            assert!(
                message.contains("line 2") && message.contains(value),
                "{message}"
            );
        }
    }

    #[test]
    fn a_first_line_that_may_be_a_header_is_refused() {
        for text in ["0,1\n1990,5\n1991,6\n", "0\n5.1\n5.2\n"] {
            assert!(message(text).contains("--header yes"), "{text}");
        }
    }

    /// The `i`-th time of a kind: years, days, weeks, months or their last days.
    fn time_of(kind: usize, i: usize) -> String {
        let date = |days: usize| {
            let (mut year, mut month, mut left) = (2019, 11, days as i64);
            while left >= time::days_of(year, month) {
                left -= time::days_of(year, month);
                (year, month) = if month == 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
            }
            format!("{year:04}-{month:02}-{:02}", left + 1)
        };
        let (year, month) = (2019 + i as i64 / 12, i as i64 % 12 + 1);
        match kind {
            0 => format!("{}", 1700 + i),
            1 => date(i),
            2 => date(7 * i).replace('-', ""),
            3 => format!("{year}-{month:02}-15"),
            _ => format!("{year}-{month:02}-{:02}", time::days_of(year, month)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_as_a_series_is_read(
            values in prop::collection::vec(prop::option::weighted(0.7, -1e9..1e9f64), 6..60),
            ends in (-1e9..1e9f64, -1e-9..1e-9f64),
            kind in prop::option::of(0..5usize),
            header in any::<bool>(),
            left_out in any::<bool>(),
            order in any::<u64>(),
        ) {
            let mut values = values;
            (values[0], *values.last_mut().unwrap()) = (Some(ends.0), Some(ends.1));
            let mut rows: Vec<(u64, String)> = Vec::new();
            for (i, value) in values.iter().enumerate() {
                let cell = value.map_or("\"\"".into(), |value| value.to_string());
                let row = match kind {
                    None => cell,
                    // Fewer than half of the steps may be longer than the usual one.
                    Some(_) if left_out && value.is_none() && i % 4 == 2 => continue,
                    Some(kind) => format!("{},{cell}", time_of(kind, i)),
                };
                let place = (i as u64 + 1).wrapping_mul(order | 1);
                rows.push((if kind.is_some() { place } else { 0 }, row));
            }
            rows.sort_by_key(|row| row.0);
            let mut lines: Vec<String> = rows.into_iter().map(|row| row.1).collect();
            if header {
                lines.insert(0, if kind.is_some() { "time,value" } else { "value" }.into());
            }
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("series.csv");
            std::fs::write(&file, lines.join("\n")).unwrap();
            let header = if header { Header::Yes } else { Header::No };
            let series = Series::read(&file, header);
            let series = series.map_err(|error| TestCaseError::fail(format!("{error}: {lines:?}")))?;
            let measured: Vec<bool> = values.iter().map(Option::is_some).collect();
            prop_assert_eq!(&series.measured, &measured);
            for (got, value) in series.values.iter().zip(&values) {
                prop_assert!(value.is_none_or(|value| value == *got), "{got} for {value:?}");
            }
            prop_assert!(series.times.windows(2).all(|pair| pair[0] < pair[1]));
            if kind == Some(0) {
                let years: Vec<f64> = (0..values.len()).map(|i| 1700.0 + i as f64).collect();
                prop_assert_eq!(&series.times, &years);
            }
        }
    }

    fn parse(text: &str) -> Result<Series, DataError> {
        let sheet = Sheet::parse(text, "s.csv", Header::Auto)?;
        Series::of("", "", &sheet)
    }

    fn message(text: &str) -> String {
        match parse(text) {
            Ok(series) => panic!("{series:?}"),
            Err(error) => error.to_string(),
        }
    }
}
