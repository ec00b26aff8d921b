//! All ways at once, on the same points.

use burn::tensor::Device;

use crate::clock::now;
use crate::data::{Data, Point, check, column};
use crate::settings::{InputError, Settings};
use crate::ways::{Method, Problem, Way};

/// What one method predicts along a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// By which method.
    pub method: Method,
    /// The mean.
    pub mean: Vec<f64>,
    /// The deviation of the network's output: what the method does not know.
    pub epistemic_std: Vec<f64>,
    /// The deviation of a point: that and the noise.
    pub std_dev: Vec<f64>,
}

struct Training {
    problem: Problem,
    ways: Vec<(Method, Box<dyn Way>)>,
}

/// Six trainings on points that may change at any time.
///
/// ```
/// use playground::{Playground, Point};
///
/// let mut playground = Playground::new(1);
/// playground.set_points(&[Point { x: 0.0, y: 1.0 }])?;
/// playground.turn();
/// let bands = playground.bands(&[-1.0, 0.0, 1.0]);
/// assert_eq!((bands.len(), bands[0].mean.len()), (6, 3));
/// # Ok::<(), playground::InputError>(())
/// ```
pub struct Playground {
    device: Device,
    seed: u64,
    settings: Settings,
    points: Vec<Point>,
    /// None without points.
    training: Option<Training>,
    turns: u64,
    /// How long a turn took last, in milliseconds.
    turn_took: f64,
}

impl std::fmt::Debug for Playground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playground")
            .field("settings", &self.settings)
            .field("points", &self.points)
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

impl Playground {
    /// Without points. The seed makes the weights that trainings start with.
    pub fn new(seed: u64) -> Self {
        Self {
            device: Device::flex(),
            seed,
            settings: Settings::default(),
            points: Vec::new(),
            training: None,
            turns: 0,
            turn_took: 0.0,
        }
    }

    /// Sets the points. Trainings go on from the weights that they have.
    ///
    /// # Errors
    ///
    /// Returns an error, and leaves everything as it is, if there are too many, or one lies outside the picture.
    pub fn set_points(&mut self, points: &[Point]) -> Result<(), InputError> {
        check(points)?;
        if self.points != points {
            self.points = points.to_vec();
            self.adapt();
        }
        Ok(())
    }

    /// Sets what the sliders set. Trainings go on from the weights that they have.
    ///
    /// # Errors
    ///
    /// Returns an error, and leaves everything as it is, if a setting is out of its range.
    pub fn set_settings(&mut self, settings: Settings) -> Result<(), InputError> {
        settings.check()?;
        if self.settings != settings {
            self.settings = settings;
            self.adapt();
        }
        Ok(())
    }

    /// Starts all trainings again, from new weights if the seed is another.
    pub fn restart(&mut self, seed: u64) {
        self.seed = seed;
        self.training = None;
        self.adapt();
    }

    fn adapt(&mut self) {
        if self.points.is_empty() {
            self.training = None;
            return;
        }
        let autodiff = self.device.clone().autodiff();
        let data = Data::new(&self.points, &autodiff);
        let problem = Problem::new(self.settings, data, autodiff);
        let ways = match self.training.take() {
            Some(Training { mut ways, .. }) => {
                ways.iter_mut().for_each(|(_, way)| way.adapt(&problem));
                ways
            }
            None => {
                self.turns = 0;
                let start = |method: Method| (method, method.start(&problem, self.seed));
                Method::ALL.map(start).into()
            }
        };
        self.training = Some(Training { problem, ways });
    }

    /// A turn of each training, if there are points.
    pub fn turn(&mut self) {
        if let Some(Training { problem, ways }) = &mut self.training {
            ways.iter_mut().for_each(|(_, way)| way.step(problem));
            self.turns += 1;
        }
    }

    /// Turns for about this long, at least one; returns how many.
    pub fn advance(&mut self, milliseconds: f64) -> u64 {
        let (start, before) = (now(), self.turns);
        while self.training.is_some() {
            let begun = now();
            // Not one more if it would end later than it should.
            let fits = begun + 0.5 * self.turn_took - start < milliseconds;
            if self.turns > before && !fits {
                break;
            }
            self.turn();
            self.turn_took = now() - begun;
        }
        self.turns - before
    }

    /// Turns since the trainings started.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// What each method predicts at `xs`. There is none without points or places, and none of a method whose weights
    /// are no longer finite.
    pub fn bands(&self, xs: &[f64]) -> Vec<Band> {
        let Some(Training { problem, ways }) = &self.training else {
            return Vec::new();
        };
        if xs.is_empty() {
            return Vec::new();
        }
        let inputs = column(xs, &self.device);
        let bands = ways.iter().filter_map(|(method, way)| {
            let prediction = way.predict(problem, &inputs).ok()?;
            Some(Band {
                method: *method,
                mean: prediction.mean,
                epistemic_std: prediction.epistemic_std,
                std_dev: prediction.std_dev,
            })
        });
        bands.collect()
    }
}
