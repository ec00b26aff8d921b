//! Numbers that no plot can show are refused with their place, and no plot goes on for ever.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use blitz_predict::NormalMixture;
use blitz_predict::distribution::Normal;
use blitz_predict::plot::{
    Band, Bands, CoveragePlot, Plot, PosteriorPlot, ReliabilityDiagram, RiskCoveragePlot,
    TracePlot, TrainingCurves,
};
use blitz_predict::score::ReliabilityBin;

/// Why there is no picture; fails if there is one, or none within some seconds.
fn refusal(plot: impl Plot + Send + 'static) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(plot.to_svg().map_err(|error| error.to_string())));
    let answer = receiver.recv_timeout(Duration::from_secs(20));
    answer.expect("the plot ends").unwrap_err()
}

fn band() -> Band {
    let x = [-1.0, 0.0, 1.0];
    let draw = x.map(|mean| Normal { mean, std: 0.1 }).to_vec();
    Band::of("a line", &x, &NormalMixture::from_draws([draw], 1)).unwrap()
}

#[test]
fn points_and_truths_that_are_not_finite_are_named() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for place in [(bad, 0.0), (0.0, bad)] {
            let bands = |band: Band| Bands::new("x", "y").panel(band).with_range(-1.0, 1.0);
            let points = refusal(bands(band().with_points([(0.0, 0.1), place])));
            assert_eq!(points, "point 1 is not finite");
            let truth = refusal(bands(band().with_truth([place])));
            assert_eq!(truth, "point of the truth 0 is not finite");
            let held = CoveragePlot::new().points("", vec![(0.5, 0.5), (0.6, 0.6), place]);
            assert_eq!(refusal(held), "point 2 is not finite");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let plot = Bands::new("x", "y").panel(band().with_points([(0.0, f64::NAN)]));
    for name in ["band.png", "band.svg"] {
        let error = plot.save(folder.path().join(name)).unwrap_err();
        assert_eq!(error.to_string(), "point 0 is not finite");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn bins_that_are_not_finite_are_named() {
    let sound = ReliabilityBin {
        count: 3,
        confidence: 0.9,
        accuracy: 0.8,
    };
    let empty = ReliabilityBin {
        count: 0,
        confidence: f64::NAN,
        accuracy: f64::NAN,
    };
    let wrong = ReliabilityBin {
        confidence: f64::NAN,
        ..sound
    };
    let plot = ReliabilityDiagram::from_bins(vec![sound, empty, wrong]);
    assert_eq!(refusal(plot), "bin 2 is not finite");
    let plot = ReliabilityDiagram::from_bins(vec![sound, empty]);
    assert!(plot.to_svg().is_ok());
}

#[test]
fn shares_that_are_none_are_named() {
    let plot = CoveragePlot::new().points("in percent", vec![(0.0, 0.0), (50.0, 48.0)]);
    assert_eq!(refusal(plot), "point 1 must be inside [0, 1], got 50");
    let bin = ReliabilityBin {
        count: 3,
        confidence: 0.9,
        accuracy: 80.0,
    };
    let plot = ReliabilityDiagram::from_bins(vec![bin]);
    assert_eq!(refusal(plot), "bin 0 must be inside [0, 1], got 80");
    let plot = CoveragePlot::new().points("nothing", Vec::new());
    assert_eq!(refusal(plot), "there is no point to plot");
}

#[test]
fn an_axis_that_no_number_spans_is_refused() {
    let beyond = |axis: &str| format!("the {axis} axis has no finite length, from ");
    let far = [-1e308, 1e308, 0.0, 0.0];
    let trace = refusal(TracePlot::new("w", &[far]).unwrap());
    assert!(trace.starts_with(&beyond("vertical")), "{trace}");
    let curves = TrainingCurves::new("epoch").nll("train", &far).unwrap();
    let curves = refusal(curves);
    assert!(curves.starts_with(&beyond("vertical")), "{curves}");
    let risk = |losses: [f64; 2]| RiskCoveragePlot::new("loss").curve("", &[0.5, 0.6], &losses);
    // The axis ends above the highest one.
    let drawn = risk([1e308; 2]).unwrap().to_svg().unwrap();
    assert!(drawn.contains(", AURC 1.000e308"));
    let risk = refusal(risk([f64::MAX; 2]).unwrap());
    assert!(risk.starts_with(&beyond("vertical")), "{risk}");
    let bands = Bands::new("x", "y").panel(band().with_points([(-1e308, 0.0), (1e308, 0.0)]));
    let bands = refusal(bands);
    assert!(bands.starts_with(&beyond("horizontal")), "{bands}");
}

#[test]
fn ratios_and_kls_beyond_f32_are_shown() {
    let plot = PosteriorPlot::new()
        .weight("w", &[1e35, 1.0], &[1e-9, 1.0])
        .and_then(|plot| plot.moved(1e50, None, None))
        .unwrap();
    assert!(plot.to_svg().unwrap().contains("1e40"));
}

#[test]
#[should_panic(expected = "a range has finite ends, got 0 to inf")]
fn a_range_without_an_end_is_refused() {
    let _ = Bands::new("x", "y").with_range(0.0, f64::INFINITY);
}
