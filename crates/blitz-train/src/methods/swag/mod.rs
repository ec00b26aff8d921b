//! SWAG: a normal posterior from the weights that training passes through.

mod collect;
mod collected;
mod draw;
mod error;

use blitz_layers::blitz_core::fields::fixed;
use blitz_layers::blitz_core::{BayesianModule, at_least_f32, posterior_in, visit_by_path};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

pub use error::SwagError;

use crate::predict::NetworkPosterior;
use collect::{Keep, Moments, Prepare, Read};
use collected::Collected;
use draw::{Deviation, Perturb, shared_normals};

/// Configuration of a [`Swag`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `rank` | 20 | K, the number of last deviations that the low-rank part has; 0 for a diagonal posterior | 0, or ≥ 2 |
/// | `scale` | 1 | a factor of the covariance | ≥ 0 |
#[derive(Config, Debug, PartialEq)]
pub struct SwagConfig {
    /// K, the number of last deviations that the low-rank part has.
    #[config(default = 20)]
    pub rank: usize,
    /// A factor of the covariance.
    #[config(default = 1.0)]
    pub scale: f64,
}

impl SwagConfig {
    /// A posterior over the weights of networks like this one, without any yet.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn init<N: Module>(&self, network: &N) -> Swag<N> {
        assert!(
            self.rank != 1,
            "a low-rank part needs at least 2 deviations, or none; got a rank of 1"
        );
        assert!(
            self.scale.is_finite() && self.scale >= 0.0,
            "the scale of a covariance is finite and not negative, got {}",
            self.scale
        );
        let mut prepare = Prepare::new(self.rank);
        network.visit(&mut prepare);
        let network = network.valid();
        let device = network.devices().into_iter().next().unwrap_or_default();
        Swag {
            network,
            offsets: prepare.offsets,
            squares: prepare.squares,
            deviations: prepare.deviations,
            collected: Collected::new(0, self.scale, &device),
            rank: self.rank,
        }
    }
}

/// A normal over the weights of a network, with the moments of the weights that training passes through.
///
/// Maddox, Garipov, Izmailov, Vetrov & Wilson, *A simple baseline for Bayesian uncertainty in deep learning* (2019). A
/// stochastic optimizer with a constant or cyclical learning rate wanders about a mode. Of the weights `θ₁ … θₙ` at n
/// moments, say the ends of epochs,
///
/// ```text
/// θ ~ N(θ̄, α (½ diag(v) + ½ D Dᵀ / (K − 1)))
/// ```
///
/// with their mean θ̄, their variances v, the K last deviations `θᵢ − θ̄ᵢ` from the mean at that time as columns of D,
/// and the factor α (`scale`). With K = 0 the covariance is `α diag(v)` (SWAG-diagonal). Deterministic parameters of
/// all kinds take part if they train; the others, such as the running statistics of a batch norm, are those of the
/// latest network.
///
/// Memory: 3 + K numbers a weight. Its record is a Burn record; load it into a `Swag` of the same configuration.
///
/// With batch norms, the running statistics of a draw and of the mean network are those of the latest network, not of
/// their own activations. `with_statistics_of` (with the feature `dataset`) gives each its own from training batches
/// (section 3.1 of the paper), and an [`Ensemble`](crate::Ensemble) of such draws goes into a predictor. Or use layer
/// norms.
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::SwagConfig;
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Tensor};
///
/// # fn main() -> Result<(), blitz_train::SwagError> {
/// let device = Device::flex().autodiff();
/// device.seed(1);
/// let mut network = LinearConfig::new(1, 1).init(&device);
/// let x = Tensor::<2>::from_floats([[-1.0], [0.0], [1.0], [2.0]], &device);
/// let mut sgd = SgdConfig::new().init();
/// let mut swag = SwagConfig::new().with_rank(5).init(&network);
/// for epoch in 0..40 {
///     for row in 0..4 {
///         let x = x.clone().slice([row..row + 1, 0..1]);
///         let noise = if (row + epoch) % 2 == 0 { 0.3 } else { -0.3 };
///         let loss = (network.forward(x.clone()) - x * 2.0 - noise).square().sum();
///         let grads = GradientsParams::from_grads(loss.backward(), &network);
///         network = sgd.step(0.1, network, grads);
///     }
///     if epoch >= 20 {
///         swag.collect(&network)?; // at the end of each epoch, once the loss stands still
///     }
/// }
/// let weight = swag.mean_network().weight.val().into_scalar::<f32>();
/// assert!((weight - 2.0).abs() < 0.5);
/// let draw = swag.sample_network(7, 0); // or `PredictorConfig::init_with(&swag, ..)`
/// # assert_ne!(draw.weight.val().into_scalar::<f32>(), weight);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Swag<N: Module> {
    /// The network whose weights that train are those of the first that was collected, and whose others are the latest.
    network: N,
    /// How far the mean of each parameter is from the first, flat; those that don't train have none. (Apart from it,
    /// since in `f32` a mean of large weights would not move by their small differences.)
    offsets: Vec<Param<Tensor<1>>>,
    /// The summed squared deviations of each parameter, likewise.
    squares: Vec<Param<Tensor<1>>>,
    /// The last deviations of each parameter, `[K, weights]`, the one of network i in row i mod K.
    deviations: Vec<Param<Tensor<2>>>,
    /// How many networks were collected, and the factor of the covariance.
    collected: Collected,
    #[module(skip)]
    rank: usize,
}

impl<N: Module> Swag<N> {
    /// Takes the weights of a network in training.
    ///
    /// # Errors
    ///
    /// Returns an error, and leaves the posterior as it was, if a weight that trains is not finite, if the network is
    /// not like the one it was made for, or if it has posteriors.
    pub fn collect(&mut self, network: &N) -> Result<(), SwagError> {
        if let Some(path) = posterior_in(network) {
            return Err(SwagError::Bayesian { path });
        }
        let mut read = Read::default();
        visit_by_path(network, &mut read);
        let expected = self.squares.len();
        if read.weights.len() != expected {
            return Err(SwagError::Parameters {
                expected,
                got: read.weights.len(),
            });
        }
        for (weight, squares) in read.weights.iter().zip(&self.squares) {
            let (expected, got) = (squares.shape()[0], weight.len_if_trains());
            if got != expected {
                return Err(SwagError::Shape {
                    path: weight.path.clone(),
                    expected,
                    got,
                });
            }
            if !weight.is_finite() {
                return Err(SwagError::NonFinite {
                    path: weight.path.clone(),
                });
            }
        }
        let before = self.collected();
        let latest = network.valid();
        let first = match before {
            0 => latest.clone(),
            _ => self.network.clone(),
        };
        let mut origin = Read::default();
        visit_by_path(&first, &mut origin);
        for (parameter, (weight, origin)) in read.weights.iter().zip(&origin.weights).enumerate() {
            if let (Some(weight), Some(origin)) = (&weight.flat, &origin.flat) {
                let mut moments = Moments {
                    offset: self.offsets[parameter].val(),
                    squares: self.squares[parameter].val(),
                    deviations: self.deviations[parameter].val(),
                };
                // In the types of the moments: beside a first weight that is far off, 16 bits have few digits of a
                // difference.
                let wide = |weights: &Tensor<1>| at_least_f32(weights.clone());
                moments.add(wide(weight) - wide(origin), before);
                self.offsets[parameter] = fixed(moments.offset);
                self.squares[parameter] = fixed(moments.squares);
                self.deviations[parameter] = fixed(moments.deviations);
            }
        }
        self.network = latest.map(&mut Keep(origin.weights.into_iter()));
        self.collected = self.collected.next();
        Ok(())
    }

    /// How many networks were collected.
    pub fn collected(&self) -> u64 {
        self.collected.count()
    }

    /// The network of the mean weights θ̄ (stochastic weight averaging).
    ///
    /// # Panics
    ///
    /// Panics before the first network was collected.
    pub fn mean_network(&self) -> N {
        assert!(self.collected() > 0, "no network was collected yet");
        let mean = self.network.clone().map(&mut Perturb {
            offsets: &self.offsets,
            deviation: None,
            at: 0,
        });
        mean.retie()
    }

    /// The network of draw `index` of a prediction with `seed`: the same numbers, always, on every backend.
    ///
    /// # Panics
    ///
    /// Panics before two networks were collected: one has no deviations.
    pub fn sample_network(&self, seed: u64, index: u64) -> N {
        let collected = self.collected();
        assert!(
            collected >= 2,
            "a posterior needs the weights of at least 2 networks, got {collected}"
        );
        let kept = (self.rank as u64).min(collected) as usize;
        let drawn = self.network.clone().map(&mut Perturb {
            offsets: &self.offsets,
            deviation: Some(Deviation {
                seed,
                index,
                scale: self.collected.scale,
                collected,
                shared: (kept >= 2).then(|| shared_normals(seed, index, kept)),
                squares: &self.squares,
                deviations: &self.deviations,
            }),
            at: 0,
        });
        // A weight that is tied has one draw.
        drawn.retie()
    }
}

impl<N: Module> NetworkPosterior<N> for Swag<N> {
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}
