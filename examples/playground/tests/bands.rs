//! The bands of the six ways, and what is refused. `check.sh` looks at the page.

use playground::{Band, FRAME, InputError, MOST_POINTS, Method, Playground, Point, Settings};

/// Two stretches of a sine, with a gap between them.
fn points() -> Vec<Point> {
    let stretch = |from: f64| (0..7).map(move |i| from + 0.25 * f64::from(i));
    let xs = stretch(-2.4).chain(stretch(0.9));
    xs.map(|x| Point {
        x,
        y: (1.5 * x).sin(),
    })
    .collect()
}

fn trained(turns: u64) -> Playground {
    let mut playground = Playground::new(3);
    playground.set_points(&points()).unwrap();
    (0..turns).for_each(|_| playground.turn());
    playground
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn every_band_is_there_and_all_but_dropouts_open_away_from_the_points() {
    let playground = trained(700);
    let near: Vec<f64> = points().iter().map(|point| point.x).collect();
    let at_points = playground.bands(&near);
    let away = playground.bands(&[-4.0, -3.8, -3.6, 3.6, 3.8, 4.0]);
    let methods: Vec<Method> = away.iter().map(|band| band.method).collect();
    assert_eq!(methods, Method::ALL);
    for (at_points, away) in at_points.iter().zip(&away) {
        let method = at_points.method;
        let widths = [at_points, away].map(|band: &Band| mean(&band.epistemic_std));
        assert!(
            widths[0] > 0.0 && (method == Method::Dropout || widths[1] > 1.1 * widths[0]),
            "{method:?}: {widths:?}"
        );
        let errors = points().into_iter().zip(&at_points.mean);
        let squares: Vec<f64> = errors.map(|(p, mean)| (p.y - mean).powi(2)).collect();
        // The points themselves have a deviation of 0.75.
        let error = mean(&squares).sqrt();
        assert!(error < 0.4, "{method:?} is {error} off the points");
        // The noise is in the one deviation and not in the other.
        for (total, epistemic) in away.std_dev.iter().zip(&away.epistemic_std) {
            let noise = (total.powi(2) - epistemic.powi(2)).sqrt();
            assert!((noise - 0.1).abs() < 1e-6, "{method:?}: {noise}");
        }
    }
}

#[test]
fn the_seed_alone_makes_the_bands_whatever_other_threads_do() {
    let bands = || trained(5).bands(&[-1.0, 0.5, 3.0]);
    let alone = bands();
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(bands));
        for thread in both {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
    let mut other = Playground::new(4);
    other.set_points(&points()).unwrap();
    (0..5).for_each(|_| other.turn());
    assert_ne!(other.bands(&[-1.0, 0.5, 3.0]), alone);
    other.restart(3);
    (0..5).for_each(|_| other.turn());
    assert_eq!(other.bands(&[-1.0, 0.5, 3.0]), alone);
}

#[test]
fn trainings_go_on_when_points_or_settings_change_and_end_without_points() {
    let mut playground = trained(30);
    let xs = [0.0, 1.0];
    let before = playground.bands(&xs);
    let mut more = points();
    more.push(Point { x: 0.0, y: 2.0 });
    playground.set_points(&more).unwrap();
    let settings = Settings {
        prior_std: 0.5,
        noise: 0.3,
        kl_weight: 2.0,
    };
    playground.set_settings(settings).unwrap();
    // The means are those of before, until there is a turn. IVON's deviations begin anew, and with them its draws.
    let after = playground.bands(&xs);
    let kept = [Method::MeanField, Method::Sgld, Method::Ensemble];
    for (before, after) in before.iter().zip(&after) {
        if kept.contains(&before.method) {
            assert_eq!(before.mean, after.mean, "{:?}", before.method);
            assert_ne!(before.std_dev, after.std_dev);
        }
    }
    assert!(playground.advance(1.0) >= 1);
    assert!(playground.turns() >= 31);
    assert_ne!(playground.bands(&xs), after);

    // A time that is no number has room for one turn.
    assert_eq!(playground.advance(f64::NAN), 1);
    assert!(playground.bands(&[]).is_empty());

    playground.set_points(&[]).unwrap();
    assert_eq!(playground.advance(1.0), 0);
    assert!(playground.bands(&xs).is_empty());
    playground.set_points(&points()).unwrap();
    assert_eq!(playground.turns(), 0);
}

#[test]
fn what_is_out_of_range_is_refused_in_a_sentence_and_changes_nothing() {
    let mut playground = trained(1);
    let bands = playground.bands(&[0.0]);
    let outside = Point {
        x: 1.0,
        y: 2.0 * FRAME.y,
    };
    let error = playground.set_points(&[outside]).unwrap_err();
    assert_eq!(error, InputError::Outside(outside));
    assert_eq!(
        error.to_string(),
        "the point (1, 5) lies outside the picture, which ends at ±4 and ±2.5"
    );
    let nowhere = Point {
        x: f64::NAN,
        y: 0.0,
    };
    assert!(playground.set_points(&[nowhere]).is_err());
    let many = vec![Point { x: 0.0, y: 0.0 }; MOST_POINTS + 1];
    let error = playground.set_points(&many).unwrap_err();
    assert_eq!(error.to_string(), "there is room for 200 points, got 201");
    let odd = Point::pairs(&[1.0, 2.0, 3.0]).unwrap_err();
    assert_eq!(odd.to_string(), "a point is two numbers, got 3 numbers");
    assert_eq!(
        Point::pairs(&[1.0, 2.0]),
        Ok(vec![Point { x: 1.0, y: 2.0 }])
    );
    for (noise, got) in [(0.0, "got 0"), (f64::NAN, "got NaN"), (1.5, "got 1.5")] {
        let settings = Settings {
            noise,
            ..Settings::default()
        };
        let error = playground.set_settings(settings).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the noise must lie between 0.02 and 1, {got}")
        );
    }
    assert_eq!(playground.bands(&[0.0]), bands);
}
