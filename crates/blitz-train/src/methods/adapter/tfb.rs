//! TFB: the widest posterior around trained adapters that leaves the loss as it is.

use std::collections::{HashMap, HashSet};

use blitz_layers::blitz_core::noise::layout;
use blitz_layers::blitz_core::{BayesianModule, NormalPosterior, NormalPrior, at_least_f32};
use burn::config::Config;
use burn::module::{Module, ParamId};
use burn::tensor::{DType, Tensor, TensorData};
use nalgebra::DMatrix;

use super::error::AdapterError;
use super::factors::{Adapter, adapters_within_rank, with_training, with_values};
use crate::batch::LabeledBatch;
use crate::likelihood::Likelihood;
use crate::network::Network;

/// The share of the largest singular value below which one is nothing but rounding, of a factor in `f32` and in 16
/// bits.
const SMALLEST: f64 = 1e-5;
const SMALLEST_IN_16_BITS: f64 = 1e-3;
/// The factor between two deviations while the search looks for a bracket.
const STRIDE: f64 = 4.0;
/// Strides up or down from the start: 4⁴⁰ is 10²⁴.
const STRIDES: usize = 40;

/// Why no deviation was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TfbError {
    /// The network has no adapters, or none that can be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// An adapter adds nothing to its weight, whatever `a` is.
    #[error("the adapter of {path} is not trained: its factor b is zero")]
    Untrained {
        /// The weight.
        path: String,
    },
    /// There are no examples to measure the loss on.
    #[error("there are no examples to measure the loss on")]
    Empty,
    /// The trained network's own loss is NaN or infinite.
    #[error("the loss of the trained network on batch {batch} is {loss}")]
    NonFinite {
        /// The batch, counted from 0.
        batch: usize,
        /// The mean loss of its examples.
        loss: f64,
    },
    /// No deviation is too large.
    #[error(
        "the loss stays within {tolerance} of {at_mean} up to a deviation of {std:e}: it does not depend on the adapters"
    )]
    Unbounded {
        /// The tolerance.
        tolerance: f64,
        /// The loss of the trained network.
        at_mean: f64,
        /// The largest deviation that was tried.
        std: f64,
    },
    /// No deviation is small enough.
    #[error("the loss is not within {tolerance} of {at_mean} even at a deviation of {std:e}")]
    NothingWithin {
        /// The tolerance.
        tolerance: f64,
        /// The loss of the trained network.
        at_mean: f64,
        /// The smallest deviation that was tried.
        std: f64,
    },
}

/// Training-free Bayesianization (Shi, Wang, Han, Zhang & Wang, *Training-free Bayesianization for low-rank adapters of
/// large language models*, 2024): a posterior around adapters that were trained without one.
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `tolerance` | 0.01 | how much the mean loss may rise, in nats an example | > 0 |
/// | `samples` | 10 | draws of the network for a loss | ≥ 1 |
/// | `bisections` | 6 | halvings of the bracket, whose ends are a factor 4 apart | |
/// | `seed` | 0 | the seed of the draws, the same at every deviation | |
///
/// An adapter adds `scale · a b` to its weight. With `b = U diag(s) Vᵀ`, the factors become `a' = a U` and `b' =
/// diag(s) Vᵀ`, whose product is the same, and
///
/// ```text
/// a'_ij ~ N((a U)_ij, (σ / (scale · s_j))²)
/// ```
///
/// while `b'` has one value. The noise of the merged weight is then `scale · (σ ε / (scale · s)) diag(s) Vᵀ = σ ε Vᵀ`
/// with standard normal ε: of deviation σ in every direction of the space that the rows of `b` span, and none outside
/// of it. So one number decides about all adapters.
///
/// σ is the largest for which the loss, the mean over draws of the negative log-likelihood of an example, stays within
/// the tolerance of the loss of the trained network. It is found by strides of a factor of 4 and then by bisection, and
/// the loss is measured with the same noise at every σ. (The paper leaves the scale out of σ, and takes the tolerance
/// as a share. Where all adapters have one scale, the first is a matter of units. A share of a training loss near zero
/// is no tolerance.)
///
/// ```
/// use blitz_train::{LabeledBatch, TfbConfig};
/// use blitz_train::prelude::*;
/// use burn::module::{Lora, Module};
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::optim::GradientsParams;
/// # use burn::tensor::{Device, Tensor};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: Linear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # let device = Device::flex().autodiff();
/// # device.seed(1);
/// # let mut net = Net { layer: LinearConfig::new(3, 2).init(&device) };
/// net = net.apply_lora(Lora::new(2, 4.0));
/// # let inputs = Tensor::<2>::from_floats([[1.0, 0.0, 0.5], [0.0, 1.0, -0.5]], &device);
/// # let targets = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
/// # let noise = LikelihoodParam::Fixed(0.5);
/// # let likelihood = GaussianLikelihoodConfig::new().with_targets(2).with_noise(noise).init(&device);
/// # let mut adam = FusedAdamConfig::new().init();
/// # for _ in 0..50 {
/// #     let loss = likelihood.nll(net.forward(inputs.clone()), targets.clone()).mean();
/// #     let grads = GradientsParams::from_grads(loss.backward(), &net);
/// #     net = adam.step(0.05, net, grads);
/// # }
/// // Trained as ever. A few batches then say how wide the posterior may be:
/// let batches = [LabeledBatch { inputs, targets }];
/// let tfb = TfbConfig::new().with_tolerance(0.05).fit(&net, &likelihood, &batches)?;
/// assert!(tfb.loss > tfb.loss_at_mean && tfb.loss - tfb.loss_at_mean <= 0.05);
/// assert_eq!(tfb.network.num_bayesian_weights(), 3 * 2);
/// let predictor = PredictorConfig::new(30).init(&tfb.network, &likelihood);
/// # let _ = predictor;
/// # Ok::<(), blitz_train::TfbError>(())
/// ```
#[derive(Config, Debug)]
pub struct TfbConfig {
    /// How much the mean loss may rise, in nats an example.
    #[config(default = 0.01)]
    pub tolerance: f64,
    /// Draws of the network for a loss.
    #[config(default = 10)]
    pub samples: usize,
    /// Halvings of the bracket.
    #[config(default = 6)]
    pub bisections: usize,
    /// The seed of the draws.
    #[config(default = 0)]
    pub seed: u64,
}

/// What [`TfbConfig::fit`] found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tfb<N> {
    /// The network with a [`NormalPosterior`] on the factor `a` of each adapter, off the autodiff graph: for a
    /// [`Predictor`](crate::PredictorConfig), or to save. Its prior, `N(0, 1)`, is there because a posterior has one:
    /// no KL is part of the method.
    pub network: N,
    /// σ, the deviation of the merged weights.
    pub std: f64,
    /// The mean loss of the network as it was trained, in nats an example; over as many draws, if a part of it is
    /// random besides.
    pub loss_at_mean: f64,
    /// The mean loss over the draws at σ.
    pub loss: f64,
    /// How often the loss was measured, that of the trained network included.
    pub evaluations: usize,
}

impl TfbConfig {
    /// The posterior of a trained network.
    ///
    /// Measures the loss on the examples with `samples` draws at about ten deviations: a few batches are enough, chosen
    /// at random. What else the network trains, a head for instance, stays as it is. A network that is frozen is as
    /// good as one that trains.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no adapter or one that can't be used (see [`AdapterError`]) or isn't trained,
    /// without examples, if the trained network's loss is not finite, and if no deviation is the largest or none is
    /// small enough.
    ///
    /// # Panics
    ///
    /// Panics with the value if a setting is out of its range.
    pub fn fit<N: Network, L: Likelihood<Output = N::Output>>(
        &self,
        network: &N,
        likelihood: &L,
        batches: &[LabeledBatch<N::Input, L::Target>],
    ) -> Result<Tfb<N>, TfbError>
    where
        L::Target: Clone,
    {
        self.check();
        let network = network.valid();
        let adapters = adapters_within_rank(&network)?;
        let directions = adapters.iter().map(Directions::of);
        let directions = directions.collect::<Result<Vec<_>, _>>()?;
        let turned = directions.iter().flat_map(Directions::factors);
        let network = with_values(network, turned.collect());

        let mut evaluations = 0;
        let mut loss = |network: &N, samples| {
            evaluations += 1;
            mean_loss(network, &likelihood.valid(), batches, samples, self.seed)
        };
        // What is random besides, such as a head with a posterior, has the same draws at every σ.
        let at_mean = match loss(&network, self.samples)? {
            Ok(loss) => loss,
            Err((batch, loss)) => return Err(TfbError::NonFinite { batch, loss }),
        };
        // The loss at a deviation, if it is within the tolerance.
        let within = |std: f64| -> Result<Option<f64>, TfbError> {
            let loss = loss(&spread(&network, &directions, std), self.samples)?;
            Ok(loss.ok().filter(|loss| loss - at_mean <= self.tolerance))
        };

        let tolerance = self.tolerance;
        let (std, loss_there) = match widest(within, self.bisections)? {
            Widest::Found { std, loss } => (std, loss),
            Widest::Unbounded { std } => {
                return Err(TfbError::Unbounded {
                    tolerance,
                    at_mean,
                    std,
                });
            }
            Widest::Nothing { std } => {
                return Err(TfbError::NothingWithin {
                    tolerance,
                    at_mean,
                    std,
                });
            }
        };
        Ok(Tfb {
            network: spread(&network, &directions, std),
            std,
            loss_at_mean: at_mean,
            loss: loss_there,
            evaluations,
        })
    }

    fn check(&self) {
        assert!(
            self.tolerance.is_finite() && self.tolerance > 0.0,
            "TFB's tolerance must be a positive, finite number, got {}",
            self.tolerance
        );
        assert!(
            self.samples > 0,
            "TFB needs at least one draw for a loss, got 0"
        );
    }
}

/// The largest deviation whose loss is within the tolerance.
enum Widest {
    Found {
        std: f64,
        loss: f64,
    },
    /// None is too large, up to this one.
    Unbounded {
        std: f64,
    },
    /// None is small enough, down to this one.
    Nothing {
        std: f64,
    },
}

/// Strides up or down to a bracket, and halves it in the logarithm. `within` gives the loss at a deviation, if it is
/// within the tolerance.
fn widest(
    mut within: impl FnMut(f64) -> Result<Option<f64>, TfbError>,
    bisections: usize,
) -> Result<Widest, TfbError> {
    let start = 0.01;
    let mut best = within(start)?.map(|loss| (start, loss));
    let mut end = start;
    for _ in 0..STRIDES {
        let up = best.is_some();
        end = if up { end * STRIDE } else { end / STRIDE };
        let found = within(end)?.map(|loss| (end, loss));
        match (up, found) {
            (true, Some(_)) => best = found,
            (true, None) => break,
            (false, Some(_)) => {
                best = found;
                end *= STRIDE;
                break;
            }
            (false, None) => {}
        }
    }
    let Some((mut std, mut loss)) = best else {
        return Ok(Widest::Nothing { std: end });
    };
    if std == end {
        return Ok(Widest::Unbounded { std });
    }
    for _ in 0..bisections {
        let middle = (std * end).sqrt();
        match within(middle)? {
            Some(there) => (std, loss) = (middle, there),
            None => end = middle,
        }
    }
    Ok(Widest::Found { std, loss })
}

/// An adapter in the directions of its factor b.
struct Directions {
    a: (ParamId, Tensor<2>),
    a_path: String,
    a_trains: bool,
    b: (ParamId, Tensor<2>),
    /// `1 / (scale · s_j)` for column j of a.
    per_std: Vec<f64>,
}

impl Directions {
    fn of(adapter: &Adapter) -> Result<Self, TfbError> {
        let a = host(&adapter.a.value);
        let b = host(&adapter.b.value);
        for (factor, values) in [(&adapter.a, &a), (&adapter.b, &b)] {
            let path = factor.path.clone();
            if factor.has_posterior {
                return Err(AdapterError::Posterior { path }.into());
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(AdapterError::NonFinite { path }.into());
            }
        }
        let svd = b.clone().svd(true, false);
        let Some(u) = svd.u else {
            unreachable!("it was asked for")
        };
        let largest = svd.singular_values.max();
        if largest == 0.0 {
            return Err(TfbError::Untrained {
                path: adapter.path.clone(),
            });
        }
        let smallest = match adapter.a.value.dtype() {
            DType::F16 | DType::BF16 => SMALLEST_IN_16_BITS,
            _ => SMALLEST,
        };
        // A direction that the adapter does not use adds nothing, whatever its deviation: the widest of the others,
        // which the numbers of its type hold.
        let used = svd.singular_values.iter().copied();
        let narrowest = used
            .filter(|s| *s > smallest * largest)
            .fold(largest, f64::min);
        let per_std = svd.singular_values.iter();
        let per_std = per_std.map(|s| (adapter.scale.abs() * s.max(narrowest)).recip());
        Ok(Self {
            a: (adapter.a.id, tensor(&(a * &u), &adapter.a.value)),
            a_path: adapter.a.path.clone(),
            a_trains: adapter.a.trains,
            b: (adapter.b.id, tensor(&(u.transpose() * b), &adapter.b.value)),
            per_std: per_std.collect(),
        })
    }

    fn factors(&self) -> [(ParamId, Tensor<2>); 2] {
        [self.a.clone(), self.b.clone()]
    }

    /// A normal around a of deviation σ in the merged weight.
    fn posterior(&self, std: f64) -> NormalPosterior {
        let a = &self.a.1;
        // Of a σ that is tried and not taken, a deviation may be below what a posterior can have.
        let row = self
            .per_std
            .iter()
            .map(|per_std| (std * per_std).max(1e-30));
        let [rows, _] = a.dims();
        let row: Vec<f64> = row.collect();
        let data = TensorData::new(row.repeat(rows), a.shape());
        // In 16 bits the smallest would be zero.
        let dtype = at_least_f32(a.clone()).dtype();
        NormalPosterior::from_std(Tensor::<2>::from_data(data, (&a.device(), dtype)))
    }
}

/// The network with a posterior of deviation σ on each factor a.
fn spread<N: Module>(network: &N, directions: &[Directions], std: f64) -> N {
    let by_path: HashMap<&str, &Directions> = directions
        .iter()
        .map(|directions| (directions.a_path.as_str(), directions))
        .collect();
    // A posterior is attached to what trains, and nothing here is trained: a factor that is frozen is as good.
    let frozen = directions.iter().filter(|directions| !directions.a_trains);
    let frozen: HashSet<ParamId> = frozen.map(|directions| directions.a.0).collect();
    let network = with_training(network.clone(), frozen.clone(), true);
    let network = network.attach_posteriors(|weight| {
        let directions = by_path.get(weight.path)?;
        Some((directions.posterior(std), NormalPrior::new(1.0)))
    });
    with_training(network, frozen, false)
}

/// The mean over draws and examples of the negative log-likelihood, or the first batch where it is not finite, with its
/// own.
fn mean_loss<N: Network, L: Likelihood<Output = N::Output>>(
    network: &N,
    likelihood: &L,
    batches: &[LabeledBatch<N::Input, L::Target>],
    samples: usize,
    seed: u64,
) -> Result<Result<f64, (usize, f64)>, TfbError> {
    let (mut sum, mut examples) = (0.0, 0);
    for (place, batch) in batches.iter().enumerate() {
        let mut batch_sum = 0.0;
        let mut count = 0;
        for sample in 0..samples as u64 {
            let output = network.with_draw(seed, layout::validation(sample), |network| {
                network.forward(batch.inputs.clone())
            });
            let nll = likelihood.nll(output, batch.targets.clone());
            count += nll.dims()[0];
            batch_sum += nll.sum().into_scalar::<f64>();
        }
        if count > 0 && !batch_sum.is_finite() {
            return Ok(Err((place, batch_sum / count as f64)));
        }
        sum += batch_sum;
        examples += count;
    }
    match examples {
        0 => Err(TfbError::Empty),
        _ => Ok(Ok(sum / examples as f64)),
    }
}

fn host(tensor: &Tensor<2>) -> DMatrix<f64> {
    let [rows, columns] = tensor.dims();
    let values: Vec<f64> = tensor.to_data().iter::<f64>().collect();
    DMatrix::from_row_slice(rows, columns, &values)
}

/// On the device and in the type of `like`.
fn tensor(matrix: &DMatrix<f64>, like: &Tensor<2>) -> Tensor<2> {
    let values: Vec<f64> = matrix.transpose().as_slice().to_vec();
    let data = TensorData::new(values, [matrix.nrows(), matrix.ncols()]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
