//! What is compared: the methods, or one setting of mean-field variational inference at several values.

use burn::tensor::Device;
use clap::ValueEnum;
use example_support::chosen_or_all;
use example_support::methods::{Data, MeanField, Method, MethodError, Number, Predict, Rows};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Comparison {
    /// Each way to a posterior.
    Methods,
    /// Mean-field variational inference with the KL at several weights β: 1 is the ELBO, 80 (the number of points) what
    /// forgetting the 1/N makes of it.
    KlWeight,
    /// Mean-field variational inference from several initial deviations, after a short training: small ones don't grow
    /// in time.
    InitialDeviation,
}

/// One of those that are compared.
#[derive(Debug, Clone, Copy)]
pub enum Candidate {
    /// A way to a posterior.
    Method(Method),
    /// Mean-field variational inference with this β.
    KlWeight(f64),
    /// The same from this initial deviation.
    InitialDeviation(f64),
}

impl Comparison {
    /// Those that are compared; of methods the chosen ones, if any is.
    pub fn candidates(self, chosen: &[Method], points: usize) -> Vec<Candidate> {
        let methods = chosen_or_all(chosen, Method::value_variants());
        match self {
            Self::Methods => methods.into_iter().map(Candidate::Method).collect(),
            Self::KlWeight => [0.01, 0.1, 1.0, points as f64]
                .map(Candidate::KlWeight)
                .into(),
            Self::InitialDeviation => [0.001, 0.01, 0.1, 0.5]
                .map(Candidate::InitialDeviation)
                .into(),
        }
    }
}

impl Candidate {
    /// Its name.
    pub fn name(&self) -> String {
        match *self {
            Self::Method(method) => method.name(),
            Self::KlWeight(beta) => format!("β = {beta}"),
            Self::InitialDeviation(std) => format!("σ₀ = {std}/√n"),
        }
    }

    /// Trains it.
    ///
    /// # Errors
    ///
    /// Those of [`Method::fit`].
    pub fn fit(&self, rows: &Rows, seed: u64, device: &Device) -> Result<Predict, MethodError> {
        let data = Data {
            task: Number,
            rows,
            seed,
            device,
        };
        match *self {
            Self::Method(method) => method.fit_by_default(data),
            Self::KlWeight(beta) => Ok(MeanField {
                beta,
                ..MeanField::default()
            }
            .fit(data)),
            // A training with a usual learning rate, after which the initial deviation still shows.
            Self::InitialDeviation(initial_deviation) => Ok(MeanField {
                initial_deviation,
                steps: 4_000,
                rate: 1e-3,
                ..MeanField::default()
            }
            .fit(data)),
        }
    }
}
