//! A time series, and the windows of it that the network sees.

use std::path::Path;

use example_support::RunError;

const CO2: &str = include_str!("../data/co2.csv");
const SUNSPOTS: &str = include_str!("../data/sunspots.csv");

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
        Self::parse(name, unit, text).unwrap_or_else(|_| unreachable!("the shipped file is sound"))
    }

    /// A table of one column, the values, or two, times and values; with a header or without. An empty value is missing.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = std::fs::read_to_string(path).map_err(|error| RunError::data(path, error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, "", &text).map_err(|reason| RunError::data(path, reason))
    }

    fn parse(name: &str, unit: &str, text: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (i, record) in reader.records().enumerate() {
            let record = record.map_err(|error| error.to_string())?;
            let value = record.get(record.len() - 1).unwrap_or_default();
            let parsed = value.parse::<f64>().ok().filter(|value| value.is_finite());
            if i == 0 && parsed.is_none() && !value.is_empty() {
                continue;
            }
            if parsed.is_none() && !value.is_empty() {
                return Err(format!("line {}: `{value}` is not a number", i + 1));
            }
            let time = (record.len() > 1)
                .then(|| record.get(0).and_then(time))
                .flatten();
            times.push(time.unwrap_or(values.len() as f64));
            values.push(parsed);
        }
        let measured: Vec<bool> = values.iter().map(Option::is_some).collect();
        if !measured.contains(&true) {
            return Err("there are no values".into());
        }
        Ok(Self {
            name: name.to_string(),
            unit: unit.to_string(),
            times,
            values: fill(&values),
            measured,
        })
    }
}

/// A year, or a day written as yyyymmdd, in years.
fn time(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok().filter(|time: &f64| time.is_finite())?;
    if !(1e7..1e8).contains(&number) {
        return Some(number);
    }
    let (year, month, day) = (
        (number / 1e4).floor(),
        (number / 100.0).floor() % 100.0,
        number % 100.0,
    );
    Some(year + (month - 1.0) / 12.0 + (day - 1.0) / 365.25)
}

/// Missing values on a line between their neighbours, or equal to the only one.
fn fill(values: &[Option<f64>]) -> Vec<f64> {
    let known = |i: &usize| values[*i].is_some();
    (0..values.len())
        .map(|i| {
            let before = (0..=i).rev().find(known);
            let after = (i..values.len()).find(known);
            let value = |j: usize| values[j].unwrap_or_default();
            match (before, after) {
                (Some(a), Some(b)) if a < b => {
                    value(a) + (value(b) - value(a)) * (i - a) as f64 / (b - a) as f64
                }
                (Some(a), _) => value(a),
                (None, Some(b)) => value(b),
                (None, None) => 0.0,
            }
        })
        .collect()
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
        let series = Series::parse("", "", "1\n2\n\"\"\n\"\"\n5\n6\n7\n").unwrap();
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
    fn what_is_not_a_number_is_named_with_its_line() {
        assert_eq!(
            Series::parse("", "", "time,value\n1,2\n2,three\n").unwrap_err(),
            "line 3: `three` is not a number"
        );
        assert_eq!(
            Series::parse("", "", "").unwrap_err(),
            "there are no values"
        );
        assert_eq!(
            Series::parse("", "", "value\n").unwrap_err(),
            "there are no values"
        );
    }
}
