//! What is computed of differences that may be beyond the numbers, where the result is not.

/// `(x − from) / unit`.
pub(crate) fn in_units(x: f64, from: f64, unit: f64) -> f64 {
    match x - from {
        difference if difference.is_finite() => difference / unit,
        // By halves.
        _ => (0.5 * x - 0.5 * from) / (0.5 * unit),
    }
}

/// `from + unit · z`.
pub(crate) fn out_of_units(z: f64, from: f64, unit: f64) -> f64 {
    match unit * z {
        distance if distance.is_finite() => from + distance,
        _ => 2.0 * (0.5 * from + 0.5 * unit * z),
    }
}

/// `(x − a) / (b − a)`: how much of the way from a to b lies before x.
pub(crate) fn share(a: f64, b: f64, x: f64) -> f64 {
    match b - a {
        difference if difference.is_finite() => (x - a) / difference,
        _ => (0.5 * x - 0.5 * a) / (0.5 * b - 0.5 * a),
    }
}

/// `a + share · (b − a)`.
pub(crate) fn between(a: f64, b: f64, share: f64) -> f64 {
    match b - a {
        difference if difference.is_finite() => a + share * difference,
        _ => (1.0 - share) * a + share * b,
    }
}
