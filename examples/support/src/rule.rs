//! The rule by which learning rates and settings are chosen.

use std::fmt::{Debug, Display};

use crate::say;

/// The candidate that is better than all others, and what was made of it.
///
/// One that can't be trained is no choice, nor one whose predictions are none: what others took hours for is not lost
/// with it.
///
/// # Errors
///
/// That of the last candidate, if none is left.
///
/// # Panics
///
/// Panics without candidates.
pub fn chosen<S: Copy + Debug, T, E: Display>(
    candidates: &[S],
    mut make: impl FnMut(S) -> Result<T, E>,
    is_better: impl Fn(&T, &T) -> bool,
) -> Result<(S, T), E> {
    let mut best: Option<(S, T)> = None;
    let mut refused = None;
    for candidate in candidates {
        match make(*candidate) {
            Ok(made) if best.as_ref().is_none_or(|(_, best)| is_better(&made, best)) => {
                best = Some((*candidate, made));
            }
            Ok(_) => {}
            Err(error) => {
                say!("  {candidate:?}: {error}");
                refused = Some(error);
            }
        }
    }
    best.ok_or_else(|| refused.unwrap_or_else(|| panic!("a rule without candidates")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(made: &[Result<f64, &'static str>]) -> Result<(f64, f64), &'static str> {
        let places: Vec<f64> = (0..made.len()).map(|place| place as f64).collect();
        let make = |place: f64| made[place as usize];
        chosen(&places, make, |a, b| a.total_cmp(b).is_lt())
    }

    #[test]
    fn a_candidate_that_fails_costs_the_others_nothing() {
        assert_eq!(of(&[Err("NaN"), Ok(2.0), Ok(1.0)]), Ok((2.0, 1.0)));
        assert_eq!(of(&[Ok(2.0), Err("NaN"), Ok(3.0)]), Ok((0.0, 2.0)));
        assert_eq!(of(&[Ok(2.0), Ok(1.0), Err("NaN")]), Ok((1.0, 1.0)));
        assert_eq!(of(&[Err("one"), Err("two")]), Err("two"));
    }

    #[test]
    fn no_number_is_better_than_a_number() {
        assert_eq!(of(&[Ok(f64::NAN), Ok(5.0)]), Ok((1.0, 5.0)));
        assert_eq!(
            of(&[Ok(5.0), Ok(f64::NAN), Ok(f64::INFINITY)]),
            Ok((0.0, 5.0))
        );
    }
}
