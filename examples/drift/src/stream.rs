//! The data: a sine whose phase takes a step at random every night, seen at a few places a day.

use std::f64::consts::TAU;

use blitz_train::prelude::NoiseKey;

use crate::Cli;

/// What the points of a day lie in.
pub const RANGE: (f64, f64) = (-2.0, 2.0);
/// The deviation of the noise, which is known.
pub const NOISE: f64 = 0.1;

/// The points of a day, and the curve they were taken from.
#[derive(Debug, Clone)]
pub struct Day {
    /// Its number.
    pub number: usize,
    /// The curve's phase.
    pub phase: f64,
    /// Where points are.
    pub x: Vec<f64>,
    /// What was seen there.
    pub y: Vec<f64>,
}

impl Day {
    /// The curve of the day.
    pub fn truth(&self, x: f64) -> f64 {
        (2.0 * x + self.phase).sin()
    }
}

/// All days.
#[derive(Debug, Clone)]
pub struct Stream(Vec<Day>);

impl Stream {
    /// The days that the settings ask for: the same for every learner.
    pub fn new(cli: &Cli) -> Self {
        let normals = |stream: u32, count: usize| {
            let mut normals = vec![0.0f32; count];
            NoiseKey::new(cli.seed, 0, stream).fill_standard_normal(0, &mut normals);
            normals.into_iter().map(f64::from)
        };
        let steps = normals(0, cli.days);
        let noise: Vec<f64> = normals(1, cli.days * cli.points).collect();
        let phases = steps.scan(0.0, |phase, step| {
            *phase += cli.speed * step;
            Some(*phase)
        });
        let days = phases.zip(noise.chunks(cli.points)).enumerate();
        let days = days.map(|(number, (phase, noise))| {
            // Multiples of the golden ratio fill an interval evenly, and another day goes on where the last one ended.
            let place =
                |i: usize| ((number * cli.points + i) as f64 * 0.618_033_988_749_895).fract();
            let x = (0..cli.points).map(|i| RANGE.0 + (RANGE.1 - RANGE.0) * place(i));
            let mut day = Day {
                number,
                phase: phase.rem_euclid(TAU),
                x: x.collect(),
                y: Vec::new(),
            };
            let y = day.x.iter().zip(noise);
            day.y = y.map(|(x, noise)| day.truth(*x) + NOISE * noise).collect();
            day
        });
        Self(days.collect())
    }

    /// In order.
    pub fn days(&self) -> &[Day] {
        &self.0
    }
}
