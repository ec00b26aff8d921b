//! What is compared: the methods, or one setting of mean-field variational inference at several values.

use burn::tensor::Device;
use clap::ValueEnum;
use example_support::methods::{MeanField, Method, OnlineNewton, Predict, Rows, Setting};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Comparison {
    /// Each way to a posterior.
    Methods,
    /// Mean-field variational inference with the KL at several weights β: 1 is the ELBO, 80 (the number of points) what forgetting the 1/N makes of it.
    KlWeight,
    /// Mean-field variational inference from several initial deviations, after a short training: small ones don't grow in time.
    InitialDeviation,
}

/// A training with a usual learning rate, after which the initial deviation still shows.
const SHORT: MeanField = MeanField {
    steps: 4_000,
    beta: 1.0,
    rate: 1e-3,
    initial_deviation: 0.1,
};

/// One of those that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Method(Method),
    KlWeight(f64),
    InitialDeviation(f64),
}

impl Comparison {
    /// Those that are compared; of methods the chosen ones, if any is.
    pub fn candidates(self, chosen: &[Method], points: usize) -> Vec<Candidate> {
        let methods = match chosen {
            [] => Method::value_variants(),
            chosen => chosen,
        };
        let hows: Vec<How> = match self {
            Self::Methods => methods.iter().copied().map(How::Method).collect(),
            Self::KlWeight => [0.01, 0.1, 1.0, points as f64].map(How::KlWeight).into(),
            Self::InitialDeviation => [0.001, 0.01, 0.1, 0.5].map(How::InitialDeviation).into(),
        };
        hows.into_iter().map(|how| Candidate { how }).collect()
    }
}

impl Candidate {
    /// Its name.
    pub fn name(&self) -> String {
        match self.how {
            How::Method(method) => method
                .to_possible_value()
                .map_or_else(String::new, |value| value.get_name().to_string()),
            How::KlWeight(beta) => format!("β = {beta}"),
            How::InitialDeviation(std) => format!("σ₀ = {std}/√n"),
        }
    }

    /// Trains it.
    pub fn fit(&self, rows: &Rows, seed: u64, device: &Device) -> Predict {
        match self.how {
            // At the rate that suits hundreds of rows, weights that few points hold run away.
            How::Method(Method::Ivon) => OnlineNewton {
                steps: 20_000,
                temperature: 1.0,
                rate: 0.01,
            }
            .fit(rows, seed, device),
            How::Method(method) => method.fit(rows, setting(method), seed, device),
            How::KlWeight(beta) => MeanField {
                beta,
                ..MeanField::default()
            }
            .fit(rows, seed, device),
            How::InitialDeviation(initial_deviation) => MeanField {
                initial_deviation,
                ..SHORT
            }
            .fit(rows, seed, device),
        }
    }
}

/// Training until the loss stands still, and each method's own number.
fn setting(method: Method) -> Setting {
    let (steps, strength) = match method {
        Method::Map | Method::Ensemble | Method::Laplace => (4_000, 1e-4),
        Method::Mfvi | Method::Ivon => (20_000, 1.0),
        Method::Sgld => (20_000, 3e-3),
        Method::McDropout => (10_000, 0.05),
        Method::Swag => (4_000, 3e-3),
    };
    Setting { steps, strength }
}
