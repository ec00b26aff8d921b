//! What lies on the axes is drawn where it is, and what lies beyond them is not drawn at all.

use blitz_predict::distribution::Normal;
use blitz_predict::plot::{
    Band, Bands, IntervalPlot, IntervalRow, Plot, RiskCoveragePlot, TrainingCurves,
};
use blitz_predict::{Interval, NormalMixture};

use crate::svg::polylines_with;

/// A number of an SVG element, such as `cx`.
fn number(element: &str, name: &str) -> f64 {
    let from = element.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
    let to = from + element[from..].find('"').unwrap();
    element[from..to].parse().unwrap()
}

/// The middles of all circles, in pixels.
fn circles(svg: &str) -> Vec<(f64, f64)> {
    let circles = svg.lines().filter(|line| line.starts_with("<circle"));
    circles
        .map(|circle| (number(circle, "cx"), number(circle, "cy")))
        .collect()
}

/// The points of all lines that are `width` pixels wide.
fn lines(svg: &str, width: usize) -> Vec<Vec<(f64, f64)>> {
    polylines_with(svg, &format!("stroke-width=\"{width}\""))
}

/// The numbers at the axes.
fn ticks(svg: &str) -> Vec<f64> {
    svg.lines().filter_map(|line| line.parse().ok()).collect()
}

/// A line of slope `slope` at −1, 0 and 1.
fn band(slope: f64) -> Band {
    let x = [-1.0, 0.0, 1.0];
    let draw = x.map(|x| Normal {
        mean: slope * x,
        std: 0.1,
    });
    Band::of("", &x, &NormalMixture::from_draws([draw.to_vec()], 1)).unwrap()
}

/// The places of the grid's ends in pixels, of a plot without margins.
const GRID: [f64; 2] = [92.0, 885.0];

fn svg(bands: Bands) -> String {
    bands.to_svg().unwrap()
}

#[test]
fn points_beside_the_grid_widen_the_axis() {
    let bands = |x: f64| Bands::new("x", "y").panel(band(1.0).with_points([(0.0, 0.0), (x, 0.3)]));
    let within = svg(bands(1.0));
    assert_eq!(circles(&within)[1].0, GRID[1]);
    let beside = svg(bands(5.0));
    assert!(ticks(&beside).contains(&4.0), "{:?}", ticks(&beside));
    // From −1 to 5 with a margin: a sixth, and five sixths less the margins' share, of the way.
    let of = |pixel: f64| (pixel - GRID[0]) / (GRID[1] - GRID[0]);
    let [first, second] = circles(&beside)[..] else {
        panic!("two points have two circles");
    };
    assert!((of(first.0) - 1.12 / 6.24).abs() < 2e-3, "{first:?}");
    assert!((of(second.0) - 6.12 / 6.24).abs() < 2e-3, "{second:?}");
    // The mean ends where the grid does.
    let mean = &lines(&beside, 2)[0];
    assert!((of(mean[2].0) - 2.12 / 6.24).abs() < 2e-3, "{mean:?}");
}

#[test]
fn points_beyond_the_range_shown_are_left_out() {
    let points = [(-0.5, 3.0), (0.0, 0.5), (0.5, -1e10), (0.5, 1e300)];
    let bands = Bands::new("x", "y").panel(band(0.1).with_points(points));
    assert_eq!(circles(&svg(bands.with_range(-1.0, 1.0))).len(), 1);
}

#[test]
fn a_mean_is_drawn_as_far_as_it_is_within_the_range_shown() {
    let bands = Bands::new("x", "y").panel(band(4.0)).with_range(-1.0, 1.0);
    let mean = lines(&svg(bands), 2);
    // From (−¼, −1) to (¼, 1).
    let middle = 0.5 * (GRID[0] + GRID[1]);
    let quarter = 0.125 * (GRID[1] - GRID[0]);
    let ends = [mean[0][0], mean[0][mean[0].len() - 1]];
    assert_eq!(mean.len(), 1);
    assert!((ends[0].0 - (middle - quarter)).abs() < 2.0, "{ends:?}");
    assert!((ends[1].0 - (middle + quarter)).abs() < 2.0, "{ends:?}");
}

#[test]
fn a_truth_is_drawn_as_far_as_the_axes_go() {
    let dashes = |truth: &[(f64, f64)], range: f64| {
        let band = band(0.1).with_truth(truth.iter().copied());
        let dashes = lines(
            &svg(Bands::new("x", "y").panel(band).with_range(-range, range)),
            1,
        );
        // Of the mesh and the axes there are lines of this width as well.
        dashes
    };
    let without = dashes(&[], 1.0).len();
    let beside = dashes(&[(2.0, -1.0), (2.0, 1.0)], 1.0).len();
    assert_eq!(beside, without, "nothing of a truth beside the grid");
    let above = dashes(&[(-1.0, 5.0), (1.0, 5.0)], 1.0).len();
    assert_eq!(above, without, "nothing of a truth above the range");
    let whole = dashes(&[(-1.0, 0.5), (1.0, 0.5)], 1.0).len() - without;
    let longer = dashes(&[(-3.0, 0.5), (3.0, 0.5)], 1.0).len() - without;
    assert!(whole > 50 && longer == whole, "{longer} for {whole}");
}

#[test]
fn the_vertical_axis_holds_the_mean_and_the_truth() {
    // One draw in fifty far away: the mean lies beyond 95 % of the observations.
    let x = [0.0, 1.0];
    let draws = (0..50).map(|draw| {
        let mean = if draw == 0 { 1000.0 } else { 0.0 };
        vec![Normal { mean, std: 0.1 }; 2]
    });
    let predictive = NormalMixture::from_draws(draws, 1);
    let band = Band::of("", &x, &predictive).unwrap();
    let shown = ticks(&svg(Bands::new("x", "y").panel(band)));
    assert!(shown.contains(&200.0), "{shown:?}");
    let truth = self::band(0.1)
        .with_truth([(0.0, 7.0), (4.0, 900.0)])
        .with_points([(5.0, 0.0)]);
    let shown = ticks(&svg(Bands::new("x", "y").panel(truth)));
    assert!(shown.contains(&6.0), "{shown:?}");
    assert!(shown.iter().all(|tick| *tick < 10.0), "{shown:?}");
}

#[test]
fn a_mean_beyond_its_intervals_is_on_the_axis() {
    let draws = (0..50).map(|draw| {
        let mean = if draw == 0 { 1000.0 } else { 0.0 };
        vec![Normal { mean, std: 0.1 }]
    });
    let predictive = NormalMixture::from_draws(draws, 1);
    let plot = IntervalPlot::of(&predictive, &[0.1], [0.75, 0.95]).unwrap();
    let shown = ticks(&plot.to_svg().unwrap());
    assert!(shown.contains(&20.0), "{shown:?}");
}

#[test]
fn an_inner_interval_beyond_the_outer_one_is_on_the_axis() {
    let ends = |lower, upper| Interval { lower, upper };
    let row = IntervalRow {
        target: 0.0,
        mean: 0.0,
        inner: ends(-8.0, 4.0),
        outer: ends(-1.0, 1.0),
    };
    let plot = IntervalPlot::from_rows(vec![row], [0.5, 0.9]).unwrap();
    let shown = ticks(&plot.to_svg().unwrap());
    assert!(shown.contains(&-8.0) && shown.contains(&4.0), "{shown:?}");
    let error = IntervalPlot::from_rows(vec![row], [0.95, 0.75]).unwrap_err();
    let expected =
        "the level of the inner interval must be at most that of the outer one, got 0.95";
    assert_eq!(error.to_string(), expected);
    // Numbers whose sum is beyond the numbers are finite.
    let far = IntervalRow {
        target: 6e307,
        mean: 6e307,
        inner: ends(6e307, 6e307),
        outer: ends(6e307, 6e307),
    };
    assert!(IntervalPlot::from_rows(vec![far], [0.5, 0.9]).is_ok());
}

#[test]
fn what_has_a_single_point_is_a_dot() {
    let training = TrainingCurves::new("epoch")
        .nll("train", &[0.7])
        .and_then(|plot| plot.nll("validation", &[0.8, 0.7]))
        .and_then(|plot| plot.kl("KL", &[900.0]));
    assert_eq!(circles(&training.unwrap().to_svg().unwrap()).len(), 2);
    let risk = RiskCoveragePlot::new("loss").curve("", &[0.5], &[0.3]);
    assert_eq!(circles(&risk.unwrap().to_svg().unwrap()).len(), 1);
    let one = NormalMixture::from_draws(
        [vec![Normal {
            mean: 0.0,
            std: 1.0,
        }]],
        1,
    );
    let band = Band::of("", &[3.0], &one).unwrap();
    let band = svg(Bands::new("x", "y").panel(band.with_truth([(3.0, 0.5)])));
    // The mean, the truth, and an upright for each of the two bands.
    assert_eq!(circles(&band).len(), 2);
    let uprights = lines(&band, 8);
    let [light, dark] = &uprights[..] else {
        panic!("two uprights, got {uprights:?}");
    };
    assert!(
        light[0].0 == light[1].0 && light[0].1 != light[1].1,
        "{light:?}"
    );
    assert_eq!(dark[0], dark[1], "a single draw has no epistemic deviation");
}

#[test]
fn axes_of_very_small_numbers_have_a_scale() {
    for unit in [1e-8, 1e-12, 1e-16, 1e-20, 1e-200] {
        let losses = [0.0, unit, 2.0 * unit, 3.0 * unit];
        let confidence = [0.9, 0.8, 0.7, 0.6];
        let plot = RiskCoveragePlot::new("loss")
            .curve("small", &confidence, &losses)
            .unwrap();
        let svg = plot.to_svg().unwrap();
        // The mean loss of all is the highest risk, and most of the way up.
        let shown = ticks(&svg);
        assert!(shown.contains(&unit), "{shown:?}");
        let curve = lines(&svg, 2).into_iter().find(|line| line.len() == 4);
        let curve = curve.unwrap();
        assert!(curve[0].1 - curve[3].1 > 400.0, "{curve:?}");
        assert!(
            svg.contains(&format!("small, AURC {:.3e}", 0.75 * unit)),
            "{svg}"
        );
        let curves = TrainingCurves::new("epoch").kl("KL", &losses).unwrap();
        let shown = ticks(&curves.to_svg().unwrap());
        assert!(
            shown.contains(&unit) && shown.contains(&(2.0 * unit)),
            "{shown:?}"
        );
    }
    let none = RiskCoveragePlot::new("loss").curve("none", &[0.5, 0.6], &[0.0; 2]);
    let svg = none.unwrap().to_svg().unwrap();
    assert!(
        ticks(&svg).contains(&1.0) && svg.contains("AURC 0.0000"),
        "{svg}"
    );
}
