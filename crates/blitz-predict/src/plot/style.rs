//! Colours, font and axes of the plots.

use std::ops::Range;
use std::sync::Once;

use plotters::prelude::*;
use plotters::style::register_font;

/// Text and the like.
pub const INK: RGBColor = RGBColor(51, 51, 51);
/// What should not draw the eye.
pub const FAINT: RGBColor = RGBColor(140, 140, 140);
/// Of Okabe and Ito's palette, whose colours colour-blind readers tell apart.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// See [`BLUE`].
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// See [`BLUE`].
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// See [`BLUE`].
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// See [`BLUE`].
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// See [`BLUE`].
pub const SKY: RGBColor = RGBColor(86, 180, 233);

/// The colours of several curves, in turn.
pub const CURVES: [RGBColor; 6] = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY];

/// Plotters' bitmaps find no font of the system's: this registers the one that the crate carries.
pub fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let font = include_bytes!("../../assets/DejaVuSans.ttf");
        register_font("sans-serif", FontStyle::Normal, font)
            .unwrap_or_else(|_| unreachable!("the shipped font is sound"));
    });
}

/// The plots' font.
pub fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// A number at the axis, with no more decimals than the axis' range needs.
pub fn tick(value: f64, axis: &Range<f64>) -> String {
    let (span, largest) = (axis.end - axis.start, axis.start.abs().max(axis.end.abs()));
    if largest >= 1e6 || span < 1e-4 {
        return format!("{value:.1e}");
    }
    let decimals = (1.0 - span.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

/// The range of the values with this share of it added at both ends; of one value, a range around it.
pub fn padded(values: impl Iterator<Item = f64>, share: f64) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = if high > low {
        share * (high - low)
    } else {
        0.1 * low.abs().max(1.0)
    };
    low - margin..high + margin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_the_decimals_their_axis_needs() {
        assert_eq!(tick(10.0, &(3.0..52.0)), "10");
        assert_eq!(tick(0.30000000000000004, &(0.0..0.7)), "0.30");
        assert_eq!(tick(-1.5, &(-2.0..3.0)), "-1.5");
        assert_eq!(tick(2.5e9, &(0.0..3e9)), "2.5e9");
        assert_eq!(tick(1e-6, &(0.0..3e-6)), "1.0e-6");
    }
}
