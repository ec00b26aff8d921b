//! The network, and windows as its batches.

use blitz_train::InputError;
use blitz_train::metric::try_rmse;
use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use example_support::series::Window;

use crate::cli::Cli;

/// The inputs and outputs of each of its layers, of which the LSTM has four gates.
pub fn layers(cli: &Cli) -> [[usize; 2]; 2] {
    [[1 + cli.hidden, 4 * cli.hidden], [cli.hidden, 1]]
}

/// An LSTM over the window, and a line on its last state.
#[derive(Module, Debug)]
pub struct Forecaster {
    lstm: BayesianLstm,
    output: BayesianLinear,
}

impl Forecaster {
    /// A new network.
    pub fn new(cli: &Cli, device: &Device) -> Self {
        let posterior = PosteriorConfig::normal(cli.initial_std);
        let prior = PriorConfig::normal(cli.prior_std);
        let estimator: Estimator = cli.estimator.into();
        let lstm = BayesianLstmConfig::new(1, cli.hidden, true)
            .with_posterior(posterior.clone())
            .with_prior(prior.clone())
            .with_estimator(estimator);
        let output = BayesianLinearConfig::new(cli.hidden, 1)
            .with_posterior(posterior)
            .with_prior(prior)
            .with_estimator(estimator);
        Self {
            lstm: lstm.init(device),
            output: output.init(device),
        }
    }
}

impl Network for Forecaster {
    /// `[batch, window, 1]`.
    type Input = Tensor<3>;
    /// `[batch, 1]`.
    type Output = Tensor<2>;

    fn forward(&self, windows: Tensor<3>) -> Tensor<2> {
        let (hidden, _) = self.lstm.forward(windows, None);
        let [_, steps, _] = hidden.dims();
        let last = hidden.narrow(1, steps - 1, 1).squeeze_dim(1);
        self.output.forward(last)
    }
}

/// What brings inputs and steps to deviation 1: from the training windows alone.
#[derive(Debug, Clone)]
pub struct Scale {
    /// The root mean square of the inputs, whose mean stays: it says how far the window lies from its last value.
    pub input: f64,
    /// The scaling of the steps.
    pub step: Standardizer,
}

impl Scale {
    /// The scale of these windows.
    ///
    /// # Errors
    ///
    /// Returns an error if the deviation of the steps is beyond the numbers, or below them.
    pub fn of(windows: &[Window]) -> Result<Self, InputError> {
        let inputs = windows.iter().flat_map(|window| &window.inputs);
        let inputs: Vec<f64> = inputs.copied().collect();
        let input = try_rmse(&inputs, &vec![0.0; inputs.len()])?;
        let steps: Vec<f64> = windows.iter().map(|window| window.step).collect();
        Ok(Self {
            input: if input > 0.0 { input } else { 1.0 },
            step: Standardizer::try_fit(&steps, 1)?,
        })
    }
}

/// Stacks windows in their scale.
#[derive(Debug, Clone)]
pub struct WindowBatcher(pub Scale);

impl Batcher<Window, LabeledBatch<Tensor<3>, Tensor<2>>> for WindowBatcher {
    fn batch(&self, windows: Vec<Window>, device: &Device) -> LabeledBatch<Tensor<3>, Tensor<2>> {
        let (n, length) = (windows.len(), windows.first().map_or(0, |w| w.inputs.len()));
        let scale = &self.0;
        let inputs: Vec<f32> = windows
            .iter()
            .flat_map(|window| window.inputs.iter().map(|x| (x / scale.input) as f32))
            .collect();
        let steps: Vec<f64> = windows.iter().map(|window| window.step).collect();
        let steps = scale.step.transform(&steps);
        LabeledBatch {
            inputs: Tensor::from_data(TensorData::new(inputs, [n, length, 1]), device),
            targets: Tensor::from_data(TensorData::new(steps, [n, 1]), device),
        }
    }
}
