//! Numbers that are the expected ones but for rounding. Tests of blitz-train have them from here.

/// Panics unless each number is within `tolerance` of the expected one.
#[track_caller]
pub fn assert_close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_within(got, expected, |_| tolerance);
}

/// Panics unless each number is within `tolerance` of the expected one, times that number where it is above 1.
#[track_caller]
pub fn assert_relatively_close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_within(got, expected, |expected| {
        tolerance * expected.abs().max(1.0)
    });
}

#[track_caller]
fn assert_within(got: &[f64], expected: &[f64], tolerance: impl Fn(f64) -> f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs();
        assert!(
            error < tolerance(*expected),
            "number {i}: {got} for {expected}, off by {error:e}"
        );
    }
}
