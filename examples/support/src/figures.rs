//! Numbers as a report shows them: in digits that say something, whatever their unit.

/// The decimal places of a number's significant digits, for it and for numbers beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The place of the last digit behind the decimal point; negative before it.
    last: i32,
}

impl Figures {
    /// Three significant digits of `value`.
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self {
            last: magnitude(value).map_or(2, |magnitude| 2 - magnitude),
        }
    }

    /// `value` to the last of these places: with an exponent where the three digits are of a number below 1e-4, or of a
    /// million and more.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        let is_plain = (-3..=6).contains(&self.last);
        match magnitude(value) {
            Some(magnitude) if !is_plain || magnitude >= 9 => {
                let digits = (magnitude + self.last).clamp(0, 15) as usize;
                format!("{value:.digits$e}")
            }
            None if value == 0.0 && !is_plain => "0".into(),
            _ => format!("{value:.*}", self.last.max(0) as usize),
        }
    }
}

/// Three significant digits of `value`: `12.3`, `0.00420`, `4.20e-7`.
#[must_use]
pub fn figure(value: f64) -> String {
    Figures::of(value).show(value)
}

/// The power of ten of the first digit; none of zero and of what is not finite.
fn magnitude(value: f64) -> Option<i32> {
    let magnitude = value.abs().log10().floor();
    magnitude.is_finite().then_some(magnitude as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_three_digits_at_any_scale() {
        let values = [
            12345.6,
            123.4,
            12.34,
            9.876,
            0.01234,
            -2.5,
            0.00042,
            0.0,
            f64::NAN,
        ];
        assert_eq!(
            values.map(figure),
            [
                "12346", "123", "12.3", "9.88", "0.0123", "-2.50", "0.000420", "0.00", "NaN"
            ]
        );
        let values = [4.2e-7, -1.5e-12, 5e-324, 1.2345e6, -1.7e308, f64::INFINITY];
        assert_eq!(
            values.map(figure),
            [
                "4.20e-7",
                "-1.50e-12",
                "4.94e-324",
                "1.23e6",
                "-1.70e308",
                "inf"
            ]
        );
    }

    #[test]
    fn numbers_beside_another_end_in_its_last_place() {
        let ends =
            |reference, values: [f64; 4]| values.map(|value| Figures::of(reference).show(value));
        assert_eq!(
            ends(6.0, [21.6, 0.123, 0.0, -1.0]),
            ["21.60", "0.12", "0.00", "-1.00"]
        );
        assert_eq!(
            ends(2e-8, [3.21e-7, 4e-9, 0.0, -1.0]),
            ["3.210e-7", "4.0e-9", "0", "-1.0000000000e0"]
        );
        assert_eq!(
            ends(3e7, [4.56e8, 2e5, 0.0, 1e300]),
            ["4.560e8", "2e5", "0", "1.000000000000000e300"]
        );
        // A number out of all proportion takes no more room.
        assert_eq!(
            ends(6.0, [1e300; 4])[0].len(),
            "1.000000000000000e300".len()
        );
    }
}
