//! One split: the rule that chooses a setting on its training rows, the training, and the scores on its test rows.

use std::time::Instant;

use blitz_train::NormalMixture;
use blitz_train::calibration::QuantileRecalibration;
use blitz_train::metric::{interval_coverage, rmse, sharpness};
use burn::tensor::{Device, Tensor};
use example_support::methods::{Data, Method, Predict, Rows, Scales, Setting, Task};
use example_support::tabular::{Split, Table};
use example_support::{check_scores, chosen, mean};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::error::RunError;

/// The levels of the intervals.
pub const LEVELS: [f64; 3] = [0.5, 0.8, 0.95];
/// Of the training rows, the share that the rule validates on.
const VALIDATION_SHARE: f64 = 0.2;

/// How one split fared, in the unit of the target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// Which split, from 0.
    pub split: usize,
    /// Root mean square error of the predictive mean.
    pub rmse: f64,
    /// Mean log density of the test targets, in nats.
    pub ll: f64,
    /// Mean continuous ranked probability score.
    pub crps: f64,
    /// The share of targets inside the central intervals of [`LEVELS`].
    pub coverage: [f64; 3],
    /// The same after recalibration on the rows that the rule validated on.
    pub calibrated_coverage: [f64; 3],
    /// Mean width of the 95 % intervals.
    pub width_95: f64,
    /// What the rule chose.
    pub setting: Setting,
    /// Seconds, the rule included.
    pub seconds: f64,
}

impl Scores {
    /// Refuses those of which one is not finite.
    fn checked(self) -> Result<Self, RunError> {
        check_scores(&[
            ("RMSE", self.rmse),
            ("log likelihood", self.ll),
            ("CRPS", self.crps),
            ("mean width of the intervals", self.width_95),
        ])?;
        Ok(self)
    }
}

/// Refuses a split whose training rows can't be divided by the rule.
pub fn check(split: &Split, rows: usize) -> Result<(), RunError> {
    match split.train.len() {
        0 | 1 => Err(RunError::TooFewRows {
            left: split.train.len(),
            rows,
        }),
        _ => Ok(()),
    }
}

/// Chooses, trains and scores.
///
/// The rule: four fifths of the training rows, chosen at random, train each candidate, and the one with the largest log
/// likelihood of the last fifth is trained again on all training rows. (Of an ensemble a single member is compared, and
/// recalibrated by.) The test rows are seen by the scores alone.
pub fn run<T: Task<Targets = Tensor<2>, Predictive = NormalMixture>>(
    task: T,
    table: &Table,
    index: usize,
    split: &Split,
    method: Method,
    seed: u64,
    device: &Device,
) -> Result<Scores, RunError> {
    let start = Instant::now();
    let seed = seed.wrapping_add(1_000_000 * index as u64);
    let mut order = split.train.clone();
    order.shuffle(&mut ChaCha12Rng::seed_from_u64(seed));
    let validation = (order.len() as f64 * VALIDATION_SHARE).round() as usize;
    let (validation, training) = order.split_at(validation.max(1));
    let scales = Scales::of(table, training)?;
    let kept = Rows::of(table, training, &scales, device);
    let targets = table.targets_of(validation);

    let data = |rows, seed| Data {
        task,
        rows,
        seed,
        device,
    };
    let tried = |setting| {
        let predict = method.for_the_rule().fit(data(&kept, seed), setting)?;
        let predictive = predicted(&predict, table, validation, &scales, device)?;
        let ll = mean(&predictive.log_density(&targets));
        if !ll.is_finite() {
            return Err(RunError::NoCandidate);
        }
        Ok((ll, predictive.cdf(&targets)))
    };
    let (setting, (_, pit)) = chosen(&method.candidates(), tried, |a, b| a.0 > b.0)?;

    let scales = Scales::of(table, &split.train)?;
    let all = Rows::of(table, &split.train, &scales, device);
    let predict = method.fit(data(&all, seed.wrapping_add(1)), setting)?;
    let predictive = predicted(&predict, table, &split.test, &scales, device)?;
    let targets = table.targets_of(&split.test);
    let recalibration = QuantileRecalibration::try_fit(&pit)?;
    let calibrated = LEVELS
        .map(|level| interval_coverage(&recalibration.interval(&predictive, level), &targets));
    let scores = Scores {
        split: index,
        rmse: rmse(&predictive.mean(), &targets),
        ll: mean(&predictive.log_density(&targets)),
        crps: predictive.crps(&targets),
        coverage: LEVELS.map(|level| interval_coverage(&predictive.interval(level), &targets)),
        calibrated_coverage: calibrated,
        width_95: sharpness(&predictive.interval(0.95)),
        setting,
        seconds: start.elapsed().as_secs_f64(),
    };
    scores.checked()
}

/// The prediction of some rows, in the unit of the target.
fn predicted(
    predict: &Predict,
    table: &Table,
    rows: &[usize],
    scales: &Scales,
    device: &Device,
) -> Result<NormalMixture, RunError> {
    let inputs = Rows::of(table, rows, scales, device).inputs;
    let predictive = predict(&inputs).map_err(|error| match table.row_at_fault(rows, error) {
        Ok((row, what)) => RunError::NonFinite { row, what },
        Err(other) => other.into(),
    })?;
    Ok(scales.unscaled(predictive))
}
