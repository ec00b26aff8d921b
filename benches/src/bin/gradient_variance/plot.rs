//! The figures as an SVG, written by hand: two panels of straight lines need no plotting library and no font.

use std::fmt::Write;

use blitz_train::prelude::*;

use crate::{ESTIMATORS, Figure};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 430.0;
/// A panel's plotting area, and the first panel's left edge.
const PANEL: (f64, f64) = (330.0, 290.0);
const LEFT: f64 = 70.0;
const TOP: f64 = 60.0;
const GAP: f64 = 90.0;
/// The vertical axis, in powers of ten.
const DECADES: (i32, i32) = (-4, 0);

/// Variance by batch size in both nets, as multiples of shared weights' at a batch of one.
pub fn svg(figures: &[Figure]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"#333\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for (i, net) in ["linear", "convolution"].into_iter().enumerate() {
        let figures: Vec<_> = figures.iter().filter(|f| f.net == net).collect();
        panel(&mut out, LEFT + i as f64 * (PANEL.0 + GAP), net, &figures);
    }
    legend(&mut out);
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, left: f64, title: &str, figures: &[&Figure]) {
    let (width, height) = PANEL;
    let largest = figures.iter().map(|f| f.batch).max().unwrap_or(1);
    let x = |batch: usize| left + width * (batch as f64).log2() / (largest as f64).log2();
    let y = |relative: f64| {
        let (low, high) = (f64::from(DECADES.0), f64::from(DECADES.1));
        TOP + height * (high - relative.log10().clamp(low, high)) / (high - low)
    };

    text(out, left + width / 2.0, TOP - 10.0, "middle", title);
    text(
        out,
        left + width / 2.0,
        TOP + height + 38.0,
        "middle",
        "rows in the batch",
    );
    for decade in DECADES.0..=DECADES.1 {
        let level = y(10f64.powi(decade));
        line(
            out,
            "stroke=\"#ddd\"",
            &[(left, level), (left + width, level)],
        );
        text(out, left - 8.0, level + 4.0, "end", &power_of_ten(decade));
    }
    let mut batch = 1;
    while batch <= largest {
        text(
            out,
            x(batch),
            TOP + height + 18.0,
            "middle",
            &batch.to_string(),
        );
        batch *= 2;
    }
    // What noise of each row's own must do: fall as one over the rows.
    let ideal = [(x(1), y(1.0)), (x(largest), y(1.0 / largest as f64))];
    line(
        out,
        "stroke=\"#999\" stroke-dasharray=\"1 4\" stroke-width=\"2\"",
        &ideal,
    );

    for (parameter, dashes) in [("mu", "none"), ("rho", "6 4")] {
        let curve = |estimator| {
            let figures = figures.iter();
            figures.filter(move |f| f.parameter == parameter && f.estimator == estimator)
        };
        let Some(unit) = curve(Estimator::SharedWeights).find(|f| f.batch == 1) else {
            continue;
        };
        for estimator in ESTIMATORS {
            let points: Vec<_> = curve(estimator)
                .map(|f| (x(f.batch), y(f.variance / unit.variance)))
                .collect();
            let style = format!(
                "stroke=\"{}\" stroke-width=\"2.2\" stroke-dasharray=\"{dashes}\"",
                colour(estimator)
            );
            line(out, &style, &points);
        }
    }
}

fn legend(out: &mut String) {
    let level = HEIGHT - 14.0;
    let solid = |colour| format!("stroke=\"{colour}\" stroke-width=\"2.2\"");
    let mut entries: Vec<_> = ESTIMATORS
        .iter()
        .map(|&estimator| (solid(colour(estimator)), name(estimator)))
        .collect();
    entries.push((solid("#333"), "of μ"));
    entries.push((solid("#333") + " stroke-dasharray=\"6 4\"", "of ρ"));
    entries.push((
        "stroke=\"#999\" stroke-dasharray=\"1 4\" stroke-width=\"2\"".to_string(),
        "1 / rows",
    ));
    let mut left = LEFT;
    for (style, label) in entries {
        line(
            out,
            &style,
            &[(left, level - 4.0), (left + 28.0, level - 4.0)],
        );
        text(out, left + 34.0, level, "start", label);
        left += 34.0 + 24.0 + 6.8 * label.chars().count() as f64;
    }
    let title = "variance of the gradient, relative to one row with shared weights";
    text(out, LEFT, 22.0, "start", title);
}

fn name(estimator: Estimator) -> &'static str {
    match estimator {
        Estimator::SharedWeights => "shared weights",
        Estimator::LocalReparameterization => "local reparameterization",
        _ => "flipout",
    }
}

/// Of Okabe and Ito's palette, which colour-blind readers tell apart.
fn colour(estimator: Estimator) -> &'static str {
    match estimator {
        Estimator::SharedWeights => "#D55E00",
        Estimator::LocalReparameterization => "#0072B2",
        _ => "#009E73",
    }
}

fn power_of_ten(exponent: i32) -> String {
    match exponent {
        0 => "1".to_string(),
        _ => format!("10<tspan dy=\"-5\" font-size=\"9\">{exponent}</tspan>"),
    }
}

fn line(out: &mut String, style: &str, points: &[(f64, f64)]) {
    let points: Vec<_> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<polyline fill=\"none\" {style} points=\"{}\"/>",
        points.join(" ")
    );
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, label: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{label}</text>"
    );
}
