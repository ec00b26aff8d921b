//! What metrics and calibrators ask of their input before they compute.

use crate::error::InputError;

pub(crate) fn not_empty(len: usize, what: &'static str) -> Result<(), InputError> {
    if len == 0 {
        return Err(InputError::Empty { what });
    }
    Ok(())
}

pub(crate) fn same_length(
    (expected, expected_of): (usize, &'static str),
    (got, what): (usize, &'static str),
) -> Result<(), InputError> {
    if got != expected {
        return Err(InputError::Length {
            expected_of,
            expected,
            what,
            got,
        });
    }
    Ok(())
}

/// Each of `values` passes `allowed`, which NaN must not.
pub(crate) fn values(
    values: &[f64],
    what: &'static str,
    range: &'static str,
    allowed: impl Fn(f64) -> bool,
) -> Result<(), InputError> {
    match values.iter().position(|value| !allowed(*value)) {
        Some(index) => Err(InputError::Value {
            what,
            index,
            value: values[index],
            range,
        }),
        None => Ok(()),
    }
}

pub(crate) fn finite(list: &[f64], what: &'static str) -> Result<(), InputError> {
    values(list, what, "finite", f64::is_finite)
}

pub(crate) fn positive(list: &[f64], what: &'static str) -> Result<(), InputError> {
    let allowed = |value: f64| value > 0.0 && value.is_finite();
    values(list, what, "positive and finite", allowed)
}

pub(crate) fn non_negative(list: &[f64], what: &'static str) -> Result<(), InputError> {
    let allowed = |value: f64| value >= 0.0 && value.is_finite();
    values(list, what, "finite and not negative", allowed)
}

/// A probability that is a mean over draws may exceed 1 by an ulp or so of `f32`.
const ROUNDING: f64 = 1e-6;

pub(crate) fn probabilities(list: &[f64], what: &'static str) -> Result<(), InputError> {
    let allowed = |value: f64| (0.0..=1.0 + ROUNDING).contains(&value);
    values(list, what, "inside [0, 1]", allowed)
}

/// How far the probabilities of an example may sum from 1: those of a network are rounded to `f32`.
const SUM_TOLERANCE: f64 = 1e-4;

/// Rows of `classes` probabilities that sum to 1, and a label for each.
pub(crate) fn classification(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<(), InputError> {
    self::labels(probabilities.len(), classes, labels)?;
    class_probabilities(probabilities, classes)
}

/// Rows of `classes` probabilities that sum to 1.
pub(crate) fn class_probabilities(list: &[f64], classes: usize) -> Result<(), InputError> {
    rows(list.len(), classes)?;
    probabilities(list, "probability")?;
    for (example, row) in list.chunks(classes).enumerate() {
        let sum: f64 = row.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(InputError::Sum { example, sum });
        }
    }
    Ok(())
}

/// Rows of `classes` finite logits, and a label for each.
pub(crate) fn logits(list: &[f64], classes: usize, labels: &[usize]) -> Result<(), InputError> {
    self::labels(list.len(), classes, labels)?;
    finite(list, "logit")
}

/// `len` values are whole rows of `classes`.
pub(crate) fn rows(len: usize, classes: usize) -> Result<(), InputError> {
    not_empty(classes, "class")?;
    if !len.is_multiple_of(classes) {
        return Err(InputError::Rows {
            len,
            width: classes,
        });
    }
    Ok(())
}

/// One label below `classes` for each row of `values` values, of which there is at least one.
fn labels(values: usize, classes: usize, labels: &[usize]) -> Result<(), InputError> {
    not_empty(labels.len(), "example")?;
    rows(values, classes)?;
    self::classes(values / classes, classes, labels)
}

/// One label below `classes` for each prediction.
pub(crate) fn classes(
    predictions: usize,
    classes: usize,
    labels: &[usize],
) -> Result<(), InputError> {
    same_length((predictions, "predictions"), (labels.len(), "labels"))?;
    match labels.iter().position(|label| *label >= classes) {
        Some(example) => Err(InputError::Label {
            example,
            label: labels[example],
            classes,
        }),
        None => Ok(()),
    }
}

/// As many finite targets as there are predictions, and at least one.
pub(crate) fn targets(predictions: usize, targets: &[f64]) -> Result<(), InputError> {
    not_empty(predictions, "prediction")?;
    same_length((predictions, "predictions"), (targets.len(), "targets"))?;
    finite(targets, "target")
}

/// A probability inside (0, 1).
pub(crate) fn level(level: f64) -> Result<(), InputError> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(InputError::Setting {
        what: "a level",
        value: level,
        range: "inside (0, 1)",
    })
}

/// A number that weighs something: a penalty, or what a rank adds.
pub(crate) fn penalty(what: &'static str, value: f64) -> Result<(), InputError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(InputError::Setting {
        what,
        value,
        range: "finite and not negative",
    })
}

/// More bins than any data fills: their sums are memory that a wrong setting asks for.
const MAX_BINS: usize = 1 << 20;

pub(crate) fn bins(bins: usize) -> Result<(), InputError> {
    let range = match bins {
        0 => "at least 1",
        1..=MAX_BINS => return Ok(()),
        _ => "at most 1,048,576",
    };
    Err(InputError::Setting {
        what: "the number of bins",
        value: bins as f64,
        range,
    })
}

/// A normal prediction and a finite target for each example.
pub(crate) fn normals(mean: &[f64], std: &[f64], target: &[f64]) -> Result<(), InputError> {
    targets(mean.len(), target)?;
    same_length((mean.len(), "means"), (std.len(), "deviations"))?;
    finite(mean, "mean")?;
    positive(std, "deviation")
}

/// `draws` values for each finite target, and at least one target.
pub(crate) fn draws(values: usize, draws: usize, target: &[f64]) -> Result<(), InputError> {
    not_empty(draws, "draw or component")?;
    if !values.is_multiple_of(draws) {
        return Err(InputError::Rows {
            len: values,
            width: draws,
        });
    }
    targets(values / draws, target)
}
