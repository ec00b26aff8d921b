//! Plots show the data they are given, and refuse what they cannot show.

use std::path::{Path, PathBuf};

use blitz_predict::blitz_noise::NoiseKey;
use blitz_predict::distribution::Normal;
use blitz_predict::plot::{
    Band, Bands, CoveragePlot, IntervalPlot, IntervalRow, Plot, PlotError, PosteriorPlot, RankPlot,
    ReliabilityDiagram, RiskCoveragePlot, TracePlot, TrainingCurves,
};
use blitz_predict::score::ReliabilityBin;
use blitz_predict::{CategoricalMixture, Interval, NormalMixture, plot};

use crate::svg::polylines;

fn normals(seed: u64, count: usize) -> Vec<f64> {
    let mut values = vec![0.0; count];
    NoiseKey::new(seed, 0, 0).fill_standard_normal(0, &mut values);
    values.into_iter().map(f64::from).collect()
}

/// Writes a plot both ways, into `BLITZ_PLOTS` if that is set, to look at; returns the SVG.
fn saved(plot: &impl Plot, name: &str) -> String {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("BLITZ_PLOTS")
        .map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    let [png, svg] = ["png", "svg"].map(|extension| folder.join(name).with_extension(extension));
    plot.save(&png).unwrap();
    plot.save(&svg).unwrap();
    let bytes = std::fs::read(&png).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
    let text = std::fs::read_to_string(&svg).unwrap();
    assert!(
        text.starts_with("<svg") && text.ends_with("</svg>\n"),
        "{name}"
    );
    assert_eq!(text, plot.to_svg().unwrap());
    text
}

fn count(svg: &str, element: &str) -> usize {
    svg.matches(&format!("<{element} ")).count()
}

/// Predictions of a line that gets noisier, and what was seen.
fn regression(count: usize, overconfidence: f64) -> (NormalMixture, Vec<f64>) {
    let (noise, more) = (normals(1, count), normals(2, count));
    let x = |i: usize| 10.0 + 40.0 * i as f64 / count as f64;
    let std = |i: usize| 1.0 + 0.08 * x(i);
    let targets = (0..count).map(|i| x(i) + std(i) * noise[i]).collect();
    let draw = |sign: f64| {
        let predicted = (0..count).map(|i| Normal {
            mean: x(i) + 0.4 * more[i] + sign * 0.3 * std(i),
            std: std(i) / overconfidence,
        });
        predicted.collect()
    };
    (
        NormalMixture::from_draws([draw(-1.0), draw(1.0)], 1),
        targets,
    )
}

#[test]
fn an_interval_plot_has_a_dot_for_each_prediction_and_counts_those_that_are_held() {
    let (predictive, targets) = regression(60, 1.0);
    let held = predictive.interval(0.95);
    let held = held
        .iter()
        .zip(&targets)
        .filter(|(i, y)| i.contains(**y))
        .count();
    assert!(held < 60);
    let plot = IntervalPlot::of(&predictive, &targets, [0.75, 0.95]).unwrap();
    let plot = plot.with_title("A line, 60 rows").with_unit("metres");
    let svg = saved(&plot, "intervals");
    assert!(svg.contains("A line, 60 rows") && svg.contains("true value (metres)"));
    assert!(
        svg.contains(&format!("the 95 % interval: {held} of 60")),
        "{held}"
    );
    // Two of the legend.
    assert_eq!(count(&svg, "circle"), 60 + 2);
}

#[test]
fn predictions_of_several_targets_are_plotted_one_by_one() {
    let draw = |shift: f64| {
        (0..6)
            .map(|i| Normal {
                mean: f64::from(i) + shift,
                std: 1.0,
            })
            .collect()
    };
    let predictive = NormalMixture::from_draws([draw(0.0), draw(0.5)], 2);
    let values: Vec<f64> = (0..6).map(f64::from).collect();
    let intervals = IntervalPlot::of(&predictive, &values, [0.5, 0.9]).unwrap();
    assert_eq!(count(&intervals.to_svg().unwrap(), "circle"), 6 + 2);
    assert!(
        CoveragePlot::new()
            .curve("both", &predictive, &values)
            .is_ok()
    );
    assert!(Band::of("both", &values, &predictive).is_ok());
    let error = Band::of("one", &values[..3], &predictive)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "there are 3 places, 6 are needed");
}

#[test]
fn one_row_of_any_scale_is_enough() {
    for value in [0.0, 1e-12, -3e9] {
        let point = Interval {
            lower: value,
            upper: value,
        };
        let row = IntervalRow {
            target: value,
            mean: value,
            inner: point,
            outer: point,
        };
        let plot = IntervalPlot::from_rows(vec![row], [0.5, 0.9]).unwrap();
        assert_eq!(count(&plot.to_svg().unwrap(), "circle"), 1 + 2);
    }
}

#[test]
fn a_coverage_plot_is_under_the_diagonal_for_a_model_that_is_too_sure() {
    let (calibrated, targets) = regression(400, 1.0);
    let (sure, _) = regression(400, 2.5);
    let plot = CoveragePlot::new()
        .curve("calibrated", &calibrated, &targets)
        .and_then(|plot| plot.curve("too sure", &sure, &targets))
        .unwrap();
    let svg = saved(&plot, "coverage");
    // The height of each curve where intervals promise about one half; pixels grow downwards.
    let heights: Vec<f64> = polylines(&svg)
        .into_iter()
        .filter(|points| points.len() > 300)
        .map(|points| {
            let middle = 0.5 * (points[0].0 + points[points.len() - 1].0);
            points.iter().find(|(x, _)| *x >= middle).unwrap().1
        })
        .collect();
    assert_eq!(heights.len(), 2);
    assert!(heights[1] > heights[0] + 100.0, "{heights:?}");
}

#[test]
fn a_reliability_diagram_has_a_point_for_each_bin_and_the_error_of_its_bins() {
    let n = 2000;
    let uniform: Vec<f64> = normals(4, n)
        .iter()
        .map(|z| (z.abs() / 4.0).min(1.0))
        .collect();
    let confidence: Vec<f64> = uniform.iter().map(|u| 1.0 - 0.6 * u).collect();
    let coin = normals(5, n);
    // Right a little less often than it says.
    let correct: Vec<bool> = confidence
        .iter()
        .zip(&coin)
        .map(|(c, z)| 0.5 * (1.0 + libm::erf(z / 2f64.sqrt())) < c - 0.08)
        .collect();
    let plot = ReliabilityDiagram::new(&confidence, &correct, 10).unwrap();
    let svg = saved(&plot.with_title("Digits"), "reliability");
    let bins = blitz_predict::score::reliability_bins(&confidence, &correct, 10);
    let filled = bins.iter().filter(|bin| bin.count > 0).count();
    assert_eq!(count(&svg, "circle"), filled);
    let error = blitz_predict::score::expected_calibration_error(&confidence, &correct, 10);
    assert!(svg.contains(&format!("Digits: ECE {error:.4}")), "{error}");
}

#[test]
fn a_reliability_diagram_of_a_mixture_is_that_of_its_confidences() {
    let mixture =
        CategoricalMixture::from_logits([vec![2.0, 0.0, 0.0, 1.0], vec![1.0, 0.0, 0.5, 0.0]], 2);
    let labels = [0, 0];
    let of = ReliabilityDiagram::of(&mixture, &labels, 5).unwrap();
    let by_hand =
        ReliabilityDiagram::new(&mixture.confidence(), &mixture.correct(&labels), 5).unwrap();
    assert_eq!(of.to_svg().unwrap(), by_hand.to_svg().unwrap());
    let message = |mixture: &CategoricalMixture, labels: &[usize]| {
        let plot = ReliabilityDiagram::of(mixture, labels, 5);
        plot.unwrap_err().to_string()
    };
    let short = "2 predictions need as many labels, got 1";
    assert_eq!(message(&mixture, &[0]), short);
    let stranger = "example 1: there is no class 7 among 2";
    assert_eq!(message(&mixture, &[0, 7]), stranger);
    let empty = CategoricalMixture::from_logits([Vec::new()], 2);
    let nothing = "there is no prediction to plot";
    assert_eq!(message(&empty, &[]), nothing);
}

#[test]
fn bands_have_a_panel_for_each_prediction_with_its_points() {
    let x: Vec<f64> = (0..80).map(|i| f64::from(i) / 10.0 - 4.0).collect();
    let panel = |name: &str, spread: f64| {
        let draw = |sign: f64| {
            let at = |x: &f64| Normal {
                mean: x.sin() + sign * spread * x * x / 4.0,
                std: 0.2,
            };
            x.iter().map(at).collect()
        };
        let predictive = NormalMixture::from_draws([draw(-1.0), draw(1.0)], 1);
        let points = normals(6, 20).into_iter().map(|x| (x, x.sin()));
        Band::of(name, &x, &predictive)
            .unwrap()
            .with_points(points)
            .with_truth(x.iter().map(|x| (*x, x.sin())))
    };
    let one = Bands::new("time, s", "height, m").panel(panel("one", 0.2));
    let svg = saved(&one, "band");
    assert_eq!(count(&svg, "circle"), 20);
    assert!(svg.contains("height, m") && svg.contains("dashed"));
    let many = ["one", "two", "three", "four", "five"];
    let many = many.into_iter().zip([0.0, 0.1, 0.2, 0.3, 0.4]);
    let many = many.fold(Bands::new("x", "y"), |bands, (name, spread)| {
        bands.panel(panel(name, spread))
    });
    let svg = saved(&many.with_range(-3.0, 3.0), "bands");
    assert_eq!(count(&svg, "circle"), 5 * 20);
    assert!(svg.contains("five"));
}

#[test]
fn a_risk_coverage_plot_has_a_curve_for_each_model_with_its_area() {
    let n = 500;
    let confidence = normals(7, n);
    let noise = normals(8, n);
    let wrong: Vec<f64> = confidence
        .iter()
        .zip(&noise)
        .map(|(c, z)| f64::from(u8::from(c + z < -1.0)))
        .collect();
    let area = blitz_predict::score::aurc(&confidence, &wrong);
    let plot = RiskCoveragePlot::new("error rate")
        .curve("Bayesian", &confidence, &wrong)
        .and_then(|plot| {
            plot.curve(
                "coin",
                &noise.iter().map(|z| z * z).collect::<Vec<_>>(),
                &wrong,
            )
        })
        .unwrap();
    let svg = saved(&plot, "risk-coverage");
    assert!(svg.contains(&format!("Bayesian, AURC {area:.4}")));
    assert_eq!(
        polylines(&svg)
            .iter()
            .filter(|points| points.len() == n)
            .count(),
        2
    );
}

#[test]
fn a_posterior_plot_names_the_tensors_and_refuses_what_is_no_posterior() {
    let deviations = [0.1, 0.2, 0.4];
    let plot = PosteriorPlot::new()
        .weight("input.weight", &[0.0, 1.0, -2.0], &deviations)
        .and_then(|plot| plot.weight("output.weight", &[3.0, 1.0, -2.0], &deviations))
        .unwrap();
    let svg = saved(&plot.with_title("Two layers"), "posterior");
    for text in ["Two layers", "input.weight", "output.weight", "σ"] {
        assert!(svg.contains(text), "{text}");
    }
    // Deviations from 0.1 to 0.4 stand at an axis of deviations, not of their logarithms.
    let labels: Vec<f64> = svg.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(labels.contains(&0.1) && labels.contains(&0.2), "{labels:?}");
    assert!(labels.iter().all(|label| *label > 0.0), "{labels:?}");
    let moved = PosteriorPlot::new()
        .weight("input.weight", &[0.0, 1.0, -2.0], &deviations)
        .and_then(|plot| plot.moved(0.01, Some(&[0.0, 1.0, 2.0]), Some(&[0.001; 3])))
        .and_then(|plot| plot.weight("output.weight", &[3.0, 1.0, -2.0], &deviations))
        .and_then(|plot| plot.moved(-1e-9, None, Some(&[2.0, 5.0, 9.0])))
        .unwrap();
    let svg = saved(&moved, "posterior-moved");
    for text in [
        "KL of a weight",
        "shift from the prior",
        "shift from the start",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    let nowhere = PosteriorPlot::new().moved(0.1, None, None).unwrap_err();
    assert_eq!(nowhere.to_string(), "there is no weight to plot");
    let few = moved.clone().moved(0.1, None, Some(&[1.0])).unwrap_err();
    assert_eq!(few.to_string(), "there are 1 shifts, 3 are needed");
    let nan = moved.clone().moved(f64::NAN, None, None).unwrap_err();
    assert_eq!(nan.to_string(), "KL 0 is not finite");
    let back = [0.5, -0.5, 0.0];
    for (prior, start) in [(Some(&back[..]), None), (None, Some(&back[..]))] {
        let error = moved.clone().moved(0.1, prior, start).unwrap_err();
        let expected = "shift 1 must be finite and not negative, got -0.5";
        assert_eq!(error.to_string(), expected);
    }
    let message = |means: &[f32], deviations: &[f32]| {
        let plot = PosteriorPlot::new().weight("a", means, deviations);
        plot.unwrap_err().to_string()
    };
    assert_eq!(message(&[], &[]), "there is no weight to plot");
    assert_eq!(
        message(&[1.0, 2.0], &[0.1]),
        "there are 1 deviations, 2 are needed"
    );
    assert_eq!(
        message(&[1.0, 2.0], &[0.1, f32::INFINITY]),
        "weight 1 is not finite"
    );
    assert_eq!(
        message(&[1.0, 2.0], &[0.0, -0.25]),
        "deviation 1 must be finite and not negative, got -0.25"
    );
}

#[test]
fn training_curves_have_two_panels() {
    let decay = |from: f64, to: f64| -> Vec<f64> {
        (0..40)
            .map(|i| to + (from - to) * (-f64::from(i) / 8.0).exp())
            .collect()
    };
    let plot = TrainingCurves::new("epoch")
        .nll("train", &decay(2.3, 0.2))
        .and_then(|plot| plot.nll("validation", &decay(2.3, 0.35)))
        .and_then(|plot| plot.kl("KL", &decay(9000.0, 5200.0)))
        .unwrap();
    let svg = saved(&plot, "training");
    assert_eq!(
        polylines(&svg)
            .iter()
            .filter(|points| points.len() == 40)
            .count(),
        3
    );
    assert!(svg.contains("KL, nats") && svg.contains("validation"));
    // One of the two is enough.
    let alone = TrainingCurves::new("step").nll("train", &[0.5]).unwrap();
    let alone = alone.to_svg().unwrap();
    assert!(alone.contains("train") && alone.contains("NLL, nats"));
    // And has no empty panel beside it.
    assert!(!alone.contains("KL, nats"));
}

#[test]
fn what_cannot_be_shown_is_refused_with_the_reason() {
    let message = |error: PlotError| error.to_string();
    let (predictive, targets) = regression(5, 1.0);
    let of = |targets: &[f64]| IntervalPlot::of(&predictive, targets, [0.5, 0.9]);
    assert_eq!(
        message(of(&targets[..4]).unwrap_err()),
        "there are 4 targets, 5 are needed"
    );
    let mut wrong = targets.clone();
    wrong[3] = f64::NAN;
    assert_eq!(
        message(of(&wrong).unwrap_err()),
        "prediction 3 is not finite"
    );
    for (levels, wrong) in [
        ([75.0, 95.0], "75"),
        ([0.5, 1.0], "1"),
        ([0.0, 0.5], "0"),
        ([0.5, f64::NAN], "NaN"),
        ([f64::NAN, 0.5], "NaN"),
    ] {
        let expected = format!("a level must be inside (0, 1), got {wrong}");
        let error = IntervalPlot::of(&predictive, &targets, levels).unwrap_err();
        assert_eq!(message(error), expected);
        let interval = Interval {
            lower: 0.0,
            upper: 1.0,
        };
        let row = IntervalRow {
            target: 0.5,
            mean: 0.5,
            inner: interval,
            outer: interval,
        };
        let error = IntervalPlot::from_rows(vec![row], levels).unwrap_err();
        assert_eq!(message(error), expected);
    }
    let none = IntervalPlot::from_rows(Vec::new(), [0.5, 0.9]).unwrap_err();
    assert_eq!(message(none), "there is no prediction to plot");
    let error = CoveragePlot::new()
        .curve("", &predictive, &wrong)
        .unwrap_err();
    assert_eq!(message(error), "target 3 is not finite");
    let error = TrainingCurves::new("epoch")
        .kl("KL", &[1.0, f64::INFINITY])
        .unwrap_err();
    assert_eq!(message(error), "KL 1 is not finite");
    let nothing = [
        (Bands::new("x", "y").to_svg(), "panel"),
        (CoveragePlot::new().to_svg(), "curve"),
        (RiskCoveragePlot::new("loss").to_svg(), "curve"),
        (TrainingCurves::new("epoch").to_svg(), "curve"),
        (PosteriorPlot::new().to_svg(), "weight with a posterior"),
        (
            ReliabilityDiagram::from_bins(Vec::new()).to_svg(),
            "prediction",
        ),
    ];
    for (plot, what) in nothing {
        assert_eq!(
            message(plot.unwrap_err()),
            format!("there is no {what} to plot")
        );
    }
    let error = RiskCoveragePlot::new("loss")
        .curve("", &[0.5], &[-1.0])
        .unwrap_err();
    assert!(message(error).contains("-1"));
}

#[test]
fn a_file_of_another_kind_or_in_no_folder_is_named() {
    let bins = vec![ReliabilityBin {
        count: 3,
        confidence: 0.9,
        accuracy: 0.8,
    }];
    let plot = ReliabilityDiagram::from_bins(bins);
    let error = plot.save(Path::new("plot.jpg")).unwrap_err().to_string();
    assert_eq!(error, "plot.jpg: a plot is written as .png or .svg");
    let folder = tempfile::tempdir().unwrap();
    for name in ["plot.png", "plot.svg"] {
        let path = folder.path().join("missing").join(name);
        let error = plot.save(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write the plot {}: ", path.display())));
        assert!(error.contains("No such file"), "{error}");
    }
}

#[test]
fn a_picture_that_can_not_be_drawn_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.png");
    plot::write(&path, |path| Ok(std::fs::write(path, "whole")?)).unwrap();
    let failed = plot::write(&path, |path| {
        std::fs::write(path, "a part")?;
        Err("out of paint".into())
    });
    let error = failed.unwrap_err().to_string();
    assert!(
        error.contains("mine.png") && error.contains("out of paint"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Three chains that agree and one that is elsewhere and narrower.
fn chains() -> Vec<Vec<f64>> {
    let chain = |seed| normals(seed, 500);
    let apart = chain(4).into_iter().map(|x| 0.8 + 0.5 * x).collect();
    vec![chain(1), chain(2), chain(3), apart]
}

#[test]
fn a_trace_has_a_line_for_each_chain() {
    let plot = TracePlot::new("hidden.weight[0]", &chains()).unwrap();
    let svg = saved(&plot, "trace");
    for chain in 1..=4 {
        assert!(svg.contains(&format!("chain {chain}")));
    }
    assert!(svg.contains("hidden.weight[0]"));
    let error = TracePlot::new("w", &[[1.0, 2.0, 3.0]]).unwrap_err();
    assert!(error.to_string().contains("at least 4 draws"), "{error}");
}

#[test]
fn ranks_have_a_bar_for_each_bin_of_each_chain() {
    let plot = RankPlot::new("hidden.weight[0]", &chains()).unwrap();
    let svg = saved(&plot, "ranks");
    // And one for the background.
    assert_eq!(count(&svg, "rect"), 4 * 20 + 1);
    let fewer = saved(&plot.with_bins(10), "ranks-10");
    assert_eq!(count(&fewer, "rect"), 4 * 10 + 1);
    let error = RankPlot::new("w", &[vec![1.0; 4], vec![1.0; 5]]).unwrap_err();
    assert!(matches!(error, PlotError::Input(_)), "{error}");
}

#[test]
#[should_panic(expected = "a range goes from a lower to a higher value, got 5 to 1")]
fn a_range_upside_down_is_refused() {
    let _ = Bands::new("x", "y").with_range(5.0, 1.0);
}
