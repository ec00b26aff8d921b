//! What a trained model says of rows it has not seen, in the target's own unit.

use blitz_train::metric::rmse;
use blitz_train::prelude::RowBatcher;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::Device;

use crate::config::RunConfig;
use crate::error::RunError;
use crate::report::Row;
use crate::train::{Example, Model};
use example_support::check_scores;
use example_support::tabular::{Split, Table};

/// The test rows and how the predictions fared on them.
pub struct Evaluation {
    /// Every test row with its prediction.
    pub rows: Vec<Row>,
    /// Root mean square error of the predictive mean.
    pub rmse: f64,
    /// Mean negative log density, in nats.
    pub nll: f64,
}

impl Evaluation {
    /// Predicts the test rows of `split` with `samples` draws. Refuses a score that is not finite.
    pub fn of(
        model: &Model,
        config: &RunConfig,
        table: &Table,
        split: &Split,
        samples: usize,
        device: &Device,
    ) -> Result<Self, RunError> {
        let batch = RowBatcher.batch(items(config, table, &split.test), device);
        let standardized = model
            .try_predict(batch.inputs, samples, config.elbo.seed)
            .map_err(|error| match table.row_at_fault(&split.test, error) {
                Ok((row, what)) => RunError::NonFinite { row, what },
                Err(other) => other.into(),
            })?;
        let predictive = config.target.inverse_predictive(standardized);

        let truths = table.targets_of(&split.test);
        let mean = predictive.mean();
        let (epistemic, aleatoric) = (predictive.epistemic_std(), predictive.aleatoric_std());
        let (inner, outer) = (predictive.interval(0.75), predictive.interval(0.95));
        let evaluation = Self {
            rmse: rmse(&mean, &truths),
            nll: example_support::mean(&predictive.nll(&truths)),
            rows: (0..truths.len())
                .map(|i| Row {
                    index: split.test[i],
                    truth: truths[i],
                    mean: mean[i],
                    epistemic: epistemic[i],
                    aleatoric: aleatoric[i],
                    lower_75: inner[i].lower,
                    upper_75: inner[i].upper,
                    lower_95: outer[i].lower,
                    upper_95: outer[i].upper,
                })
                .collect(),
        };
        check_scores(&[
            ("RMSE", evaluation.rmse),
            ("NLL", evaluation.nll),
            (
                "mean width of the intervals",
                evaluation.mean(|row| row.upper_95 - row.lower_95),
            ),
        ])?;
        Ok(evaluation)
    }

    /// The share of the rows for which `holds`.
    pub fn share(&self, holds: impl Fn(&Row) -> bool) -> f64 {
        self.rows.iter().filter(|row| holds(row)).count() as f64 / self.rows.len() as f64
    }

    /// The mean of `f` over the rows.
    pub fn mean(&self, f: impl Fn(&Row) -> f64) -> f64 {
        self.rows.iter().map(f).sum::<f64>() / self.rows.len() as f64
    }
}

/// The standardized rows of `table` with these numbers.
pub fn items(config: &RunConfig, table: &Table, rows: &[usize]) -> Vec<Example> {
    let inputs = config.inputs.transform(&table.features_of(rows));
    let targets = config.target.transform(&table.targets_of(rows));
    inputs
        .chunks(table.n_features)
        .zip(targets)
        .map(|(inputs, target)| {
            let inputs = inputs.iter().map(|x| *x as f32).collect();
            (inputs, [target as f32])
        })
        .collect()
}
