//! The inverse of a distribution function.

use super::Support;

/// Where there is probability, as a search has to know it.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub support: Support,
    /// The points that have a probability of their own beside a density.
    pub masses: &'a [f64],
    /// The logarithm of the density; none of a function that is no distribution's.
    pub ln_pdf: Option<&'a dyn Fn(f64) -> f64>,
}

impl Places<'_> {
    /// The real numbers.
    pub(crate) const REAL: Self = Places {
        support: Support::Continuous,
        masses: &[],
        ln_pdf: None,
    };
}

/// The smallest `y` with `cdf(y) ≥ p`, for anything that rises in the place of a distribution function, from a search
/// that starts at `start` in steps that double.
pub(crate) fn unbounded(
    cdf: impl Fn(f64) -> f64,
    p: f64,
    start: f64,
    step: f64,
    places: Places<'_>,
) -> f64 {
    if p == 0.0 && cdf(f64::MIN) <= 0.0 {
        // The lower end of the support: −∞ unless the distribution function is zero up to somewhere.
        return lower_end(&cdf, start, step, places);
    }
    let (mut lower, mut upper, mut step) = (start, start, step);
    while cdf(lower) >= p {
        if lower <= f64::MIN {
            return f64::NEG_INFINITY;
        }
        lower = (lower - step).max(f64::MIN);
        step *= 2.0;
    }
    while cdf(upper) < p {
        if upper >= f64::MAX {
            return f64::INFINITY;
        }
        upper = (upper + step).min(f64::MAX);
        step *= 2.0;
    }
    between(cdf, p, lower, upper, places)
}

fn lower_end(cdf: &impl Fn(f64) -> f64, start: f64, step: f64, places: Places<'_>) -> f64 {
    // A distribution on the whole line is above zero a thousand steps below its middle, or is as good as bounded there.
    let far = (start - 1000.0 * step).max(f64::MIN);
    if cdf(far) > 0.0 {
        return f64::NEG_INFINITY;
    }
    between(cdf, f64::MIN_POSITIVE, far, start, places)
}

/// The smallest `y` with `cdf(y) ≥ p`, if it lies between `lower` and `upper`; the nearer of the two otherwise.
pub(crate) fn between(
    cdf: impl Fn(f64) -> f64,
    p: f64,
    lower: f64,
    upper: f64,
    places: Places<'_>,
) -> f64 {
    match places.support {
        Support::Continuous => continuous(|y| cdf(y) - p, lower, upper, places.ln_pdf),
        Support::Discrete => discrete(|y| cdf(y) >= p, lower.floor(), upper.ceil()),
        Support::Mixed => {
            // At a mass the distribution function jumps over p: a search for where it crosses would end a little beside
            // it.
            let jumps = |mass: &&f64| cdf(**mass) >= p && cdf(mass.next_down()) < p;
            match places.masses.iter().find(jumps) {
                Some(mass) => *mass,
                None => continuous(|y| cdf(y) - p, lower, upper, places.ln_pdf),
            }
        }
    }
}

fn continuous(
    f: impl Fn(f64) -> f64,
    lower: f64,
    upper: f64,
    ln_pdf: Option<&dyn Fn(f64) -> f64>,
) -> f64 {
    // By halves if the width is beyond the numbers.
    let found = match (upper - lower).is_finite() {
        true => root(&f, lower, upper),
        false => 2.0 * root(|half| f(2.0 * half), 0.5 * lower, 0.5 * upper),
    };
    let near = NEAR * upper - NEAR * lower;
    let is_level = f(found) == 0.0 && (f(found - near) == 0.0 || f(found + near) == 0.0);
    match ln_pdf.filter(|_| is_level) {
        Some(ln_pdf) => on_level(f, lower, upper, found, ln_pdf),
        None => found,
    }
}

/// How much of the width a function that climbs over it is not level on, but for rounding.
const NEAR: f64 = 1e-13;

/// The root where the function is zero on both sides of the one that was `found`: where a gap without density begins. A
/// density that is only too low for the sum to show it is lowest near the root, as far from the probability on either
/// side.
fn on_level(
    f: impl Fn(f64) -> f64,
    lower: f64,
    upper: f64,
    found: f64,
    ln_pdf: &dyn Fn(f64) -> f64,
) -> f64 {
    let first = first_by_digits(|x| f(x) >= 0.0, lower, found);
    let after = first_by_digits(|x| f(x) > 0.0, found, upper);
    let lowest = lowest(ln_pdf, first, after);
    if ln_pdf(lowest) == f64::NEG_INFINITY {
        first
    } else if ln_pdf(lowest) < ln_pdf(found) {
        lowest
    } else {
        found
    }
}

/// Where a function with one valley is lowest, by golden sections.
fn lowest(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let between = |near: f64, far: f64| ratio * near + (1.0 - ratio) * far;
    // A valley is level at its lowest: beyond 1e-8 of the width there is nothing to see.
    for _ in 0..40 {
        let (x, y) = (between(low, high), between(high, low));
        match f(x) < f(y) {
            true => high = y,
            false => low = x,
        }
    }
    low.midpoint(high)
}

/// How much of the climb from one end to the other may lie within what a search leaves open.
const LEFT_OPEN: f64 = 1e-12;

/// Chandrupatla's root finder (1997): bisection, or inverse quadratic interpolation wherever it is trustworthy.
fn root(f: impl Fn(f64) -> f64, lower: f64, upper: f64) -> f64 {
    let (mut a, mut b) = (upper, lower);
    let (mut fa, mut fb) = (f(a), f(b));
    if fb >= 0.0 || a <= b {
        return b;
    }
    if fa <= 0.0 {
        return a;
    }
    let (width, climb) = (upper - lower, fa - fb);
    let mut t = 0.5;
    loop {
        let x = a + t * (b - a);
        let fx = f(x);
        let (c, fc);
        if (fx > 0.0) == (fa > 0.0) {
            (c, fc) = (a, fa);
        } else {
            (c, fc) = (b, fb);
            (b, fb) = (a, fa);
        }
        (a, fa) = (x, fx);
        let (best, f_best) = if fa.abs() < fb.abs() {
            (a, fa)
        } else {
            (b, fb)
        };
        let tolerance = 2.0 * f64::EPSILON * best.abs() + 1e-15 * width + f64::MIN_POSITIVE;
        let limit = 0.5 * tolerance / (b - a).abs();
        if f_best == 0.0 {
            return best;
        }
        if limit > 0.5 {
            // Between ends of very different sizes the width is no measure of where the function climbs.
            return match (fa - fb).abs() > LEFT_OPEN * climb {
                true => root_by_digits(f, a.min(b), a.max(b)),
                false => best,
            };
        }
        let (xi, phi) = ((a - b) / (c - b), (fa - fb) / (fc - fb));
        let trusted = phi * phi < xi && (1.0 - phi).powi(2) < 1.0 - xi;
        t = if trusted {
            fa / (fb - fa) * (fc / (fb - fc))
                + (c - a) / (b - a) * (fa / (fc - fa)) * (fb / (fc - fb))
        } else {
            0.5
        };
        t = t.clamp(limit, 1.0 - limit);
    }
}

/// Bisection of the numbers there are between the ends, of which every power of two has as many: at most 64 steps.
fn root_by_digits(f: impl Fn(f64) -> f64, lower: f64, upper: f64) -> f64 {
    let upper = first_by_digits(|x| f(x) >= 0.0, lower, upper);
    let before = upper.next_down();
    if before >= lower && f(before).abs() < f(upper).abs() {
        before
    } else {
        upper
    }
}

/// The smallest number after `lower` that `reaches`, where `upper` does.
fn first_by_digits(reaches: impl Fn(f64) -> bool, lower: f64, upper: f64) -> f64 {
    let (mut lower, mut upper) = (place(lower), place(upper));
    loop {
        let middle = lower.midpoint(upper);
        if middle == lower || middle == upper {
            return number(upper);
        }
        if reaches(number(middle)) {
            upper = middle;
        } else {
            lower = middle;
        }
    }
}

/// The place of a number among all numbers, by size.
fn place(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    // The bits of a negative number grow with its size.
    if bits < 0 { i64::MIN - bits } else { bits }
}

/// The number at a place.
fn number(place: i64) -> f64 {
    let bits = if place < 0 { i64::MIN - place } else { place };
    f64::from_bits(bits.cast_unsigned())
}

/// The smallest whole number in `(lower, upper]` that `reaches`, or `lower` if it does.
fn discrete(reaches: impl Fn(f64) -> bool, mut lower: f64, mut upper: f64) -> f64 {
    if reaches(lower) {
        return lower;
    }
    // Beyond 2^53 neighbours have no number between them.
    loop {
        let middle = (0.5 * lower + 0.5 * upper).floor();
        if middle <= lower || middle >= upper {
            return upper;
        }
        if reaches(middle) {
            upper = middle;
        } else {
            lower = middle;
        }
    }
}
