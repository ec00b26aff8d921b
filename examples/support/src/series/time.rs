//! When a value was measured, and whether values are equally spaced.

/// A time as a file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Time {
    /// A year, or whatever the file counts by.
    Number(f64),
    /// A day.
    Date {
        /// The year.
        year: i64,
        /// The month, from 1.
        month: i64,
        /// The day of the month, from 1.
        day: i64,
    },
}

/// The times in the cells of a column, or the first cell that has none and what is wrong with it.
///
/// Whole numbers of eight digits are days, yyyymmdd, where most of the column are; otherwise they count something else,
/// such as minutes. So one that is no day is a mistake among days, and a number among numbers.
pub(super) fn parse_all(cells: &[String]) -> Result<Vec<Time>, (usize, String)> {
    let is_day = |cell: &&String| matches!(Time::parse(cell, true), Ok(Time::Date { .. }));
    let days = cells.iter().filter(is_day).count();
    let digits_are_days = 2 * days > cells.len();
    let times = cells
        .iter()
        .enumerate()
        .map(|(at, cell)| Time::parse(cell, digits_are_days).map_err(|reason| (at, reason)));
    times.collect()
}

impl Time {
    /// The time in a cell: a number, or a day written as yyyy-mm-dd or, where `digits_are_days`, as yyyymmdd.
    fn parse(text: &str, digits_are_days: bool) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        if let [year, month, day] = parts[..]
            && year.len() == 4
            && let (Ok(year), Ok(month), Ok(day)) = (year.parse(), month.parse(), day.parse())
        {
            return Self::date(text, year, month, day);
        }
        match text.parse::<f64>() {
            Ok(number)
                if digits_are_days && (1e7..1e8).contains(&number) && number.fract() == 0.0 =>
            {
                let digits = number as i64;
                Self::date(text, digits / 10_000, digits / 100 % 100, digits % 100)
            }
            Ok(number) if number.is_finite() && number.abs() < 1e12 => Ok(Self::Number(number)),
            _ if text.is_empty() => Err("the time is missing".into()),
            _ => Err(format!(
                "`{text}` is no time: write a number, yyyy-mm-dd or yyyymmdd"
            )),
        }
    }

    fn date(text: &str, year: i64, month: i64, day: i64) -> Result<Self, String> {
        let is_day = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        match is_day {
            true => Ok(Self::Date { year, month, day }),
            false => Err(format!("`{text}` is no day of any year")),
        }
    }

    /// In years, for a plot.
    pub(super) fn years(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Date { year, month, day } => {
                year as f64 + (month - 1) as f64 / 12.0 + (day - 1) as f64 / 365.25
            }
        }
    }

    fn is_date(self) -> bool {
        matches!(self, Self::Date { .. })
    }

    fn is_last_of_month(self) -> bool {
        matches!(self, Self::Date { year, month, day } if day == days_of(year, month))
    }

    fn day_of_month(self) -> Option<i64> {
        match self {
            Self::Number(_) => None,
            Self::Date { day, .. } => Some(day),
        }
    }
}

pub(super) fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1 March of the year 0, by which February is the end of a year.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1
}

/// The times on one scale: months where all are the same day of theirs, else days, or the numbers themselves. The
/// number of the first that is of another kind than the one before is an error.
pub(super) fn on_one_scale(times: &[Time]) -> Result<Vec<f64>, usize> {
    let Some(first) = times.first() else {
        return Ok(Vec::new());
    };
    if let Some(other) = times.iter().position(|t| t.is_date() != first.is_date()) {
        return Err(other);
    }
    let day = first.day_of_month();
    let by_month = times.iter().all(|time| time.day_of_month() == day)
        || times.iter().all(|time| time.is_last_of_month());
    Ok(times
        .iter()
        .map(|time| match *time {
            Time::Number(number) => number,
            Time::Date { year, month, .. } if by_month => (12 * year + month) as f64,
            Time::Date { year, month, day } => day_number(year, month, day) as f64,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_from_numbers_and_from_what_is_no_day() {
        let date = |year, month, day| Ok(Time::Date { year, month, day });
        let parse = |text| Time::parse(text, true);
        assert_eq!(parse("1958-03-29"), date(1958, 3, 29));
        assert_eq!(parse("19580329"), date(1958, 3, 29));
        assert_eq!(parse("2000-02-29"), date(2000, 2, 29));
        assert_eq!(parse("1958.24"), Ok(Time::Number(1958.24)));
        assert_eq!(parse("-3"), Ok(Time::Number(-3.0)));
        for text in ["1900-02-29", "20201301", "2020-04-31", "20200100"] {
            assert!(parse(text).unwrap_err().contains("no day"), "{text}");
        }
        for text in ["", "yesterday", "NaN", "inf", "1e300", "2020-01", "1-2-3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn eight_digits_are_days_where_most_of_the_column_are() {
        let cells = |cells: &[&str]| {
            cells
                .iter()
                .map(|cell| cell.to_string())
                .collect::<Vec<_>>()
        };
        for numbers in [
            &[
                "9950000", "9960000", "9970000", "9980000", "9990000", "10000000",
            ][..],
            &["29400000", "29400001", "29400002"],
            // One of them could be a day.
            &["29400100", "29400101", "29400102.5"],
        ] {
            let times = parse_all(&cells(numbers)).unwrap();
            let expected = numbers
                .iter()
                .map(|text| Time::Number(text.parse().unwrap()));
            assert_eq!(times, expected.collect::<Vec<_>>());
        }
        let days = parse_all(&cells(&["20200228", "20200229", "20200301"])).unwrap();
        assert!(days.iter().all(|time| time.is_date()));
        let error = parse_all(&cells(&["20200229", "20200301", "20200332"])).unwrap_err();
        assert_eq!(error, (2, "`20200332` is no day of any year".to_string()));
    }

    #[test]
    fn a_day_follows_the_day_before() {
        let mut before = day_number(1999, 12, 31);
        for year in 2000..2005 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    assert_eq!(day_number(year, month, day), before + 1);
                    before += 1;
                }
            }
        }
    }

    #[test]
    fn months_and_years_are_equally_long_where_days_are_not() {
        let scale = |texts: &[&str]| {
            let times: Vec<Time> = texts
                .iter()
                .map(|t| Time::parse(t, true).unwrap())
                .collect();
            let scale = on_one_scale(&times).unwrap();
            scale.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>()
        };
        assert_eq!(scale(&["2020-01-01", "2020-02-01", "2020-03-01"]), [1.0; 2]);
        assert_eq!(scale(&["2020-01-31", "2020-02-29", "2020-03-31"]), [1.0; 2]);
        assert_eq!(scale(&["2019-05-05", "2020-05-05"]), [12.0]);
        assert_eq!(scale(&["2020-02-24", "2020-03-02", "2020-03-09"]), [7.0; 2]);
    }
}
