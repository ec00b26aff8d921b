//! The last layer of a regression with normal noise: Bayesian linear regression on the network's features.

use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::super::error::{LaplaceError, deterministic, positive, size};
use super::super::numbers::{dot, finite, host, normals};
use super::super::prior_precision::evidence::{best_precision, fixed_point};
use super::super::spectrum::Spectrum;
use super::features::for_each_batch;
use super::network::LastLayerPosterior;
use super::shape::LayerShape;
use super::stored::StoredGaussian;
use crate::batch::LabeledBatch;
use blitz_predict::distribution::Normal;

/// Where the posterior of a last layer is centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LastLayerMean {
    /// At the trained weights, as in Daxberger et al. (2021). An approximation unless they are the maximum a
    /// posteriori.
    Trained,
    /// At the posterior mean given the features, for the prior precision and noise at hand: mean, covariance,
    /// predictive distribution and marginal likelihood are then exact for the last layer.
    Exact,
}

/// The posterior of the last layer of a regression with noise `N(0, σ²)`, given the features φ that enter it.
///
/// Outputs are independent, each with the precision matrix `ΦᵀΦ/σ² + λ I` of (d_input + 1)², 1 of it for the bias. λ is
/// the prior precision, of the bias too, and the same for all outputs; σ may be each output's own
/// ([`with_noise_std`](Self::with_noise_std)). With `n` features fitting takes O(n²) memory, O(N n²) time and an
/// eigendecomposition O(n³); from then on another λ or σ² costs O(n), and O(n²) for each output if the mean is
/// [`Exact`](LastLayerMean::Exact), which moves with them.
///
/// ```
/// # use blitz_train::laplace::{GaussianLastLayer, LastLayerMean};
/// # use blitz_train::LabeledBatch;
/// # use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
/// # use burn::data::dataset::InMemDataset;
/// # use burn::nn::LinearConfig;
/// # use burn::tensor::{Device, Tensor};
/// # struct Line;
/// # impl Batcher<f32, LabeledBatch<Tensor<2>, Tensor<2>>> for Line {
/// #     fn batch(&self, x: Vec<f32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
/// #         let x: Tensor<2> = Tensor::<1>::from_floats(x.as_slice(), device).unsqueeze_dim(1);
/// #         LabeledBatch { inputs: x.clone(), targets: x * 2.0 + 1.0 }
/// #     }
/// # }
/// # let device = Device::flex();
/// # device.seed(1);
/// # let loader = DataLoaderBuilder::new(Line).batch_size(4).set_device(device.clone())
/// #     .build(InMemDataset::new((0..20).map(|i| i as f32 / 10.0 - 1.0).collect()));
/// # let last = LinearConfig::new(1, 1).init(&device);
/// // The features of a network are its layers up to the last; here the input itself.
/// let posterior = GaussianLastLayer::fit(loader.as_ref(), |x: Tensor<2>| x, &last, 0.1, 1.0)?
///     .with_mean(LastLayerMean::Exact);
/// let inside = posterior.predict(&[0.0])[0];
/// let outside = posterior.predict(&[5.0])[0];
/// assert!((inside.mean - 1.0).abs() < 0.1 && outside.std > inside.std);
/// # Ok::<(), blitz_train::laplace::LaplaceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredGaussian")]
pub struct GaussianLastLayer {
    pub(super) shape: LayerShape,
    /// The trained weights, output after output.
    pub(super) trained: Vec<f64>,
    pub(super) spectrum: Spectrum,
    /// `Φᵀ (Y − Φ θ)` of the trained θ in the spectrum's coordinates, output after output.
    pub(super) pull: Vec<f64>,
    /// The summed squared residuals of the trained weights, of each output.
    pub(super) residuals: Vec<f64>,
    pub(super) examples: usize,
    /// σ² of each output.
    pub(super) noise_variances: Vec<f64>,
    pub(super) prior_precision: f64,
    pub(super) mean: LastLayerMean,
    /// The posterior mean of all that, output after output.
    #[serde(skip)]
    pub(super) centre: Vec<f64>,
}

/// What the marginal likelihood needs to know of a mean.
struct AtMean {
    rows: Vec<f64>,
    /// Of each output.
    squared_residuals: Vec<f64>,
    squared_norm: f64,
}

impl GaussianLastLayer {
    /// Reads all batches: `features` gives the input of `layer` for a batch, `[examples, d_input]`; targets are
    /// `[examples, outputs]`. `noise_std` is σ of all outputs, in the targets' units; λ is `prior_precision`. Centred
    /// at the trained weights.
    ///
    /// # Errors
    ///
    /// Data that are empty, not finite, of another shape or can't be read; settings that aren't positive; collinear
    /// features with a λ too small for `f64`; features on an autodiff device, where layers train; features that are
    /// others each time; a layer that has a posterior, or is quantized.
    pub fn fit<I: Clone>(
        data: &dyn DataLoader<LabeledBatch<I, Tensor<2>>>,
        features: impl Fn(I) -> Tensor<2>,
        layer: &Linear,
        noise_std: f64,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        deterministic(layer)?;
        let (shape, trained) = LayerShape::read(layer)?;
        let theta = DMatrix::from_column_slice(shape.row(), shape.outputs, &trained);
        let mut gram = DMatrix::zeros(shape.row(), shape.row());
        let mut pull = DMatrix::zeros(shape.row(), shape.outputs);
        let mut residuals = vec![0.0; shape.outputs];
        let seen = for_each_batch(data, features, &shape, |phi, targets, before| {
            let [rows, outputs] = targets.dims();
            size("the number of targets", phi.nrows(), rows)?;
            size("the number of target columns", shape.outputs, outputs)?;
            let targets = host(targets);
            finite(&targets, outputs, "a target", before)?;
            let residual = DMatrix::from_row_slice(rows, outputs, &targets) - &phi * &theta;
            gram += phi.tr_mul(&phi);
            pull += phi.tr_mul(&residual);
            for (sum, column) in residuals.iter_mut().zip(residual.column_iter()) {
                *sum += column.norm_squared();
            }
            Ok(())
        })?;
        let spectrum = Spectrum::new(gram);
        let pull = pull.column_iter();
        let fitted = Self {
            pull: pull
                .flat_map(|column| spectrum.coordinates(column.as_slice()))
                .collect(),
            shape,
            trained,
            spectrum,
            residuals,
            examples: seen,
            noise_variances: Vec::new(),
            prior_precision: 1.0,
            mean: LastLayerMean::Trained,
            centre: Vec::new(),
        };
        let variance = positive("the noise deviation", noise_std)?.powi(2);
        fitted.with(vec![variance; shape.outputs], prior_precision)
    }

    pub(super) fn with(
        mut self,
        noise_variances: Vec<f64>,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        self.prior_precision = positive("the prior precision", prior_precision)?;
        for variance in &noise_variances {
            positive("the noise variance", *variance)?;
            self.spectrum.check(1.0 / variance, prior_precision)?;
        }
        self.noise_variances = noise_variances;
        self.centre = self.at_mean(&self.noise_variances, prior_precision).rows;
        Ok(self)
    }

    /// The same data with a noise of deviation `noise_std[k]` in output k, such as that of a
    /// [`GaussianLikelihood`](crate::GaussianLikelihood::noise_std) of several targets.
    ///
    /// # Errors
    ///
    /// Unless there is one for each output, if one isn't positive, or if λ is too small for collinear features.
    pub fn with_noise_std(self, noise_std: &[f64]) -> Result<Self, LaplaceError> {
        size(
            "the number of noise deviations",
            self.shape.outputs,
            noise_std.len(),
        )?;
        let variances = noise_std
            .iter()
            .map(|std| Ok(positive("the noise deviation", *std)?.powi(2)));
        let variances = variances.collect::<Result<Vec<_>, LaplaceError>>()?;
        let precision = self.prior_precision;
        self.with(variances, precision)
    }

    /// The same data with the posterior centred elsewhere.
    #[must_use]
    pub fn with_mean(mut self, mean: LastLayerMean) -> Self {
        self.mean = mean;
        self.centre = self
            .at_mean(&self.noise_variances, self.prior_precision)
            .rows;
        self
    }

    /// The same data under another prior precision λ.
    ///
    /// # Errors
    ///
    /// If λ isn't positive, or too small for collinear features.
    pub fn with_prior_precision(self, prior_precision: f64) -> Result<Self, LaplaceError> {
        let noise = self.noise_variances.clone();
        self.with(noise, prior_precision)
    }

    /// The prior precision λ in [10⁻¹², 10¹²] of largest marginal likelihood, σ as it is.
    ///
    /// # Errors
    ///
    /// If the marginal likelihood grows to an end of that range.
    pub fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
        let noise = self.noise_variances.clone();
        let best = best_precision(|precision| self.evidence(&noise, precision))?;
        self.with(noise, best)
    }

    /// λ and σ² of largest marginal likelihood, by MacKay's fixed point: `λ = γ/|θ|²`, `σ² = RSS/(N·outputs − γ)` with
    /// γ the number of well-determined weights. One σ for all outputs; see
    /// [`with_best_prior_and_noises`](Self::with_best_prior_and_noises).
    ///
    /// # Errors
    ///
    /// If there is no such point: noise that vanishes because the features interpolate, or weights that do.
    pub fn with_best_prior_and_noise(self) -> Result<Self, LaplaceError> {
        self.at_fixed_point(|residuals, determined, examples| {
            let observations = examples * residuals.len() as f64;
            let left = observations - determined.iter().sum::<f64>();
            vec![residuals.iter().sum::<f64>() / left; residuals.len()]
        })
    }

    /// λ and the σ² of each output of largest marginal likelihood, `σ_k² = RSS_k/(N − γ_k)`: for targets of different
    /// noise.
    ///
    /// # Errors
    ///
    /// As [`with_best_prior_and_noise`](Self::with_best_prior_and_noise).
    pub fn with_best_prior_and_noises(self) -> Result<Self, LaplaceError> {
        self.at_fixed_point(|residuals, determined, examples| {
            let outputs = residuals.iter().zip(determined);
            outputs
                .map(|(rss, determined)| rss / (examples - determined))
                .collect()
        })
    }

    /// `noises` makes the variances of the squared residuals and well-determined weights of each output, and of the
    /// number of examples.
    fn at_fixed_point(
        self,
        noises: impl Fn(&[f64], &[f64], f64) -> Vec<f64>,
    ) -> Result<Self, LaplaceError> {
        let start = self.noise_variances.clone();
        let (noise, precision) = fixed_point(start, self.prior_precision, |noise, precision| {
            let at = self.at_mean(noise, precision);
            let determined = noise
                .iter()
                .map(|noise| self.spectrum.well_determined(1.0 / noise, precision));
            let determined: Vec<f64> = determined.collect();
            let noise = noises(&at.squared_residuals, &determined, self.examples as f64);
            (noise, determined.iter().sum::<f64>() / at.squared_norm)
        })?;
        self.with(noise, precision)
    }

    fn at_mean(&self, noises: &[f64], precision: f64) -> AtMean {
        let row = self.shape.row();
        let mut at = AtMean {
            rows: self.trained.clone(),
            squared_residuals: self.residuals.clone(),
            squared_norm: 0.0,
        };
        if self.mean == LastLayerMean::Exact {
            let outputs = at.rows.chunks_mut(row).zip(self.pull.chunks(row));
            let outputs = outputs.zip(noises.iter().zip(&mut at.squared_residuals));
            for ((theta, pull), (noise, squared_residuals)) in outputs {
                // The exact mean as a step from the trained weights: their residuals are small, so nothing cancels.
                let start = self.spectrum.coordinates(theta);
                let mut moved = start.clone();
                for (i, s) in self.spectrum.values.iter().enumerate() {
                    let step = (pull[i] / noise - precision * start[i]) / (s / noise + precision);
                    *squared_residuals += step * (s * step - 2.0 * pull[i]);
                    moved[i] += step;
                }
                theta.copy_from_slice(&self.spectrum.vector(&moved));
            }
        }
        at.squared_norm = dot(&at.rows, &at.rows);
        at
    }

    fn evidence(&self, noises: &[f64], precision: f64) -> f64 {
        let at = self.at_mean(noises, precision);
        let examples = self.examples as f64;
        let outputs = noises.iter().zip(&at.squared_residuals);
        let of_outputs = outputs.map(|(noise, squared_residuals)| {
            -0.5 * squared_residuals / noise
                - 0.5 * examples * (std::f64::consts::TAU * noise).ln()
                - 0.5 * self.spectrum.log_det(1.0 / noise, precision)
        });
        let weights = self.shape.parameters() as f64;
        of_outputs.sum::<f64>() - 0.5 * precision * at.squared_norm + 0.5 * weights * precision.ln()
    }

    /// `ln p(targets | λ, σ²)` by Laplace, in nats; exact with [`LastLayerMean::Exact`].
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.evidence(&self.noise_variances, self.prior_precision)
    }

    /// The prior precision λ.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }

    /// The noise's deviation σ of each output.
    pub fn noise_std(&self) -> Vec<f64> {
        let variances = self.noise_variances.iter();
        variances.map(|variance| variance.sqrt()).collect()
    }

    /// The posterior mean, output after output, each with its bias last.
    pub fn mean(&self) -> Vec<f64> {
        self.centre.clone()
    }

    /// The covariance of the weights of an output, bias last, row-major: `(ΦᵀΦ/σ² + λ I)⁻¹`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such output.
    #[track_caller]
    pub fn covariance(&self, output: usize) -> Vec<f64> {
        let outputs = self.shape.outputs;
        assert!(output < outputs, "there is no output {output} of {outputs}");
        let scale = 1.0 / self.noise_variances[output];
        self.spectrum.covariance(scale, self.prior_precision)
    }

    /// For each output the predictive distribution at one example's features: `N(θᵀφ, φᵀΣφ + σ²)`.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features, all of them finite.
    #[track_caller]
    pub fn predict(&self, features: &[f64]) -> Vec<Normal> {
        let phi = self.shape.phi(features);
        let variances = self.epistemic_variance(features).into_iter();
        let variances = variances.zip(&self.noise_variances);
        let rows = self.centre.chunks(self.shape.row()).zip(variances);
        rows.map(|(theta, (epistemic, noise))| Normal {
            mean: dot(theta, &phi),
            std: (epistemic + noise).sqrt(),
        })
        .collect()
    }

    /// The variance `φᵀΣφ` of each output at one example's features, without the noise.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features, all of them finite.
    #[track_caller]
    pub fn epistemic_variance(&self, features: &[f64]) -> Vec<f64> {
        let phi = self.shape.phi(features);
        let (spectrum, at) = (&self.spectrum, self.spectrum.coordinates(&phi));
        let variance =
            |noise: &f64| spectrum.inverse_form_at(&at, &at, 1.0 / noise, self.prior_precision);
        self.noise_variances.iter().map(variance).collect()
    }
}

impl LastLayerPosterior for GaussianLastLayer {
    fn sample_layer(&self, seed: u64, index: u64, device: &Device) -> Linear {
        let mut rows = self.mean();
        let row = self.shape.row();
        let outputs = rows.chunks_mut(row).zip(&self.noise_variances);
        for (output, (theta, noise)) in outputs.enumerate() {
            let normals = normals(seed, index, output, row);
            let step = self
                .spectrum
                .draw(&normals, 1.0 / noise, self.prior_precision);
            theta.iter_mut().zip(step).for_each(|(t, s)| *t += s);
        }
        self.shape.write(&rows, device)
    }
}
