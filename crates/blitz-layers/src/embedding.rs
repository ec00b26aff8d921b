//! The Bayesian counterpart of Burn's [`Embedding`](burn::nn::Embedding).

use blitz_core::{
    BayesianModule, Posterior, Prior, Variational, WeightInfo, WeightMoments, at_least_f32,
    read_means, type_of_numbers, weight_rows,
};
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param, Reparameterizer};
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::module::embedding;
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};

use crate::moments::{ForwardMoments, Moments};
use crate::traversal::traversed_as;
use crate::weights::{WeightsConfig, add_families, configures_weights};

/// Configuration to create a [`BayesianEmbedding`] layer using the [init function](BayesianEmbeddingConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `n_embedding`, `d_model` | | the number of vectors and their size, as in Burn's `EmbeddingConfig` |
/// | `padding_idx` | none | an index whose vector is zero, always |
/// | `max_norm` | none | the largest norm of a vector; a longer one is scaled down to it. An infinite one is none |
/// | `norm_type` | 2 | the p of that p-norm; may be infinite |
/// | `weights` | [`WeightsConfig`]'s | posterior, prior and initial means of the vectors |
#[derive(Config, Debug)]
pub struct BayesianEmbeddingConfig {
    /// The number of embedding vectors.
    pub n_embedding: usize,
    /// The size of each vector.
    pub d_model: usize,
    /// The index of padding.
    pub padding_idx: Option<usize>,
    /// The largest norm of a vector.
    pub max_norm: Option<f64>,
    /// The p of the p-norm that `max_norm` bounds.
    #[config(default = 2.0)]
    pub norm_type: f64,
    /// The posterior, the prior and the initial means of the vectors.
    #[config(default = "WeightsConfig::new()")]
    pub weights: WeightsConfig,
}

/// A lookup table whose vectors are drawn from their posterior.
///
/// Should be created with [`BayesianEmbeddingConfig`].
///
/// With a posterior that allows it, as the mean-field normal does, only the rows that a batch looks up are sampled,
/// each once, however large the vocabulary: they are the rows of the [draw](blitz_core::Draw)'s full table, to the bit
/// on a CPU. (Gradients are dense, as those of Burn's own `Embedding`: a backward pass writes one as large as the
/// table.)
///
/// **Padding.** `padding_idx` gives a vector of zeros and passes no gradient on, to mean or deviation. Its means are
/// zeros, for whatever else reads the table. Its row is no part of the model, so it pays no KL either and is not
/// pruned. That needs the posterior of the other rows alone,
/// [`Posterior::marginal_of_rows`](blitz_core::Posterior::marginal_of_rows), which all built-in posteriors have but two: a radial posterior is of
/// the whole table, with padding in it, and that of a part of a full-rank one is not computed. Their KL is that of all
/// rows. A posterior that replaces this one, as by
/// [`moped`](blitz_core::BayesianModule::moped), leaves the row out as well; one that is attached to a table without any, such as that of a
/// [`mean_network`](blitz_core::BayesianModule::mean_network), does not know of padding and counts it.
///
/// **A tied head** that reads the whole table, as in `hidden.matmul(table.weight.val().transpose())`, does read the
/// padding row: it is drawn, and trained by the head's gradient, without a KL. Such a table is made without a
/// `padding_idx`, so that all of its rows are in the KL; the layer's field `padding_idx`, set afterwards, then has its
/// lookups give zeros.
///
/// **Maximal norm.** `max_norm` scales the *drawn* vectors, `w · min(1, max_norm / ‖w‖)`, with the gradient of that
/// map. PyTorch's overwrites the stored rows that a batch looks up, which with a posterior would move the means during
/// a forward pass.
///
/// ```
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex();
/// let layer = BayesianEmbeddingConfig::new(1000, 4).with_padding_idx(Some(0)).init(&device);
/// let words = Tensor::<2, Int>::from_ints([[17, 3, 17, 0]], &device);
/// let vectors = layer.forward(words);
/// assert_eq!(vectors.dims(), [1, 4, 4]);
/// let padding = vectors.slice([0..1, 3..4, 0..4]);
/// assert_eq!(padding.abs().sum().into_scalar::<f32>(), 0.0);
/// ```
#[derive(Clone, Debug)]
pub struct BayesianEmbedding {
    /// The table of shape `[n_embedding, d_model]`: the posterior's means, with the posterior attached.
    pub weight: Param<Tensor<2>>,
    /// The index of padding.
    pub padding_idx: Option<usize>,
    /// The largest norm of a vector.
    pub max_norm: Option<f64>,
    /// The p of the p-norm that `max_norm` bounds.
    pub norm_type: f64,
}

traversed_as!(Embedding, BayesianEmbedding { weight });

configures_weights! {
    BayesianEmbeddingConfig => BayesianEmbedding, attach;
    /// Panics if a size is zero, if `padding_idx` is outside the vocabulary, or if `max_norm` or `norm_type` is not
    /// positive.
}

impl BayesianEmbeddingConfig {
    /// The means alone.
    fn deterministic(&self, device: &Device) -> BayesianEmbedding {
        let (n_embedding, d_model) = (self.n_embedding, self.d_model);
        assert!(
            n_embedding > 0 && d_model > 0,
            "an embedding needs at least one vector of at least one element, got {n_embedding} of {d_model}"
        );
        if let Some(padding_idx) = self.padding_idx {
            assert!(
                padding_idx < n_embedding,
                "padding_idx {padding_idx} is outside the vocabulary of {n_embedding}"
            );
        }
        for (name, value) in [
            ("max_norm", self.max_norm),
            ("norm_type", Some(self.norm_type)),
        ] {
            if let Some(value) = value {
                assert!(value > 0.0, "{name} must be positive, got {value}");
            }
        }
        let burn = EmbeddingConfig::new(n_embedding, d_model);
        let initializer = self.weights.initializer_or(burn.initializer.clone());
        let Embedding { mut weight } = burn.with_initializer(initializer).init(device);
        if let Some(padding_idx) = self.padding_idx {
            // As the layer computes with it, for what else reads the table.
            weight = weight.init_mapper(move |table| {
                let padding = [padding_idx..padding_idx + 1, 0..d_model];
                table.slice_fill(padding, 0.0)
            });
        }
        BayesianEmbedding {
            weight,
            padding_idx: self.padding_idx,
            max_norm: self.max_norm,
            norm_type: self.norm_type,
        }
    }
}

/// Attaches what `families` returns to the table, with padding left out of its KL.
fn attach<Q: Posterior, P: Prior>(
    mut layer: BayesianEmbedding,
    mut families: impl FnMut(WeightInfo<'_>) -> (Q, P),
) -> BayesianEmbedding {
    // Asked for here and attached below: only what is not attached yet can leave a row out.
    let mut table = None;
    layer = layer.attach_posteriors(|weight| {
        table = Some(families(weight));
        None::<(Q, P)>
    });
    let unused = layer.padding_idx;
    let table = table.map(|(q, p)| Variational::new(q, p).with_unused_row(unused));
    layer.weight = layer.weight.apply_reparameterization(AttachTable(table));
    layer
}

struct AttachTable<Q: Posterior, P: Prior>(Option<Variational<Q, P>>);

impl<Q: Posterior, P: Prior> Reparameterizer for AttachTable<Q, P> {
    type Reparam = Variational<Q, P>;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        (param, self.0.take())
    }
}

impl BayesianEmbedding {
    /// Looks up a batch of sequences of indices.
    ///
    /// The indices are read by the host: on a GPU each call waits for them.
    ///
    /// # Shapes
    ///
    /// - input: `[batch_size, seq_length]`
    /// - output: `[batch_size, seq_length, d_model]`
    ///
    /// # Randomness
    ///
    /// Under an open [draw](blitz_core::Draw), the rows of its sample of the table; otherwise a fresh sample each call.
    /// An index that occurs twice gives the same vector twice.
    ///
    /// # Panics
    ///
    /// Panics with the index and the size of the vocabulary if an index is negative or too large.
    pub fn forward(&self, input: Tensor<2, Int>) -> Tensor<3> {
        let dims = input.dims();
        let indices = self.checked(input);
        let mut rows: Vec<usize> = indices
            .iter()
            .copied()
            .filter(|i| !self.is_padding(*i))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        let base = self.weight.base();
        let (device, [_, d_model]) = (base.device(), base.dims());
        if rows.is_empty() {
            let options = (&device, self.vector_type());
            return Tensor::zeros([dims[0], dims[1], d_model], options);
        }
        let vectors = self.clip_norm(weight_rows(&self.weight, &rows));
        // Padding is looked up somewhere, and then masked.
        let places = indices
            .iter()
            .map(|index| rows.binary_search(index).unwrap_or(0) as i64);
        let places = TensorData::new(places.collect(), dims);
        let output = looked_up(vectors, Tensor::from_data(places, &device));
        self.without_padding(output, &indices)
    }

    /// The type of the vectors: that of the factors beside an adapter, and of a quantized table the device's.
    fn vector_type(&self) -> DType {
        if let Some(adapter) = self.weight.adapter() {
            return adapter.a.base().dtype();
        }
        let base = self.weight.base();
        match base.dtype() {
            DType::QFloat(_) => base.device().settings().float_dtype.into(),
            dtype => dtype,
        }
    }

    /// Zeros where an index is padding.
    fn without_padding(&self, output: Tensor<3>, indices: &[usize]) -> Tensor<3> {
        if !indices.iter().any(|index| self.is_padding(*index)) {
            return output;
        }
        let [batch, length, d_model] = output.dims();
        let padding: Vec<bool> = indices
            .iter()
            .map(|index| self.is_padding(*index))
            .collect();
        let padding = TensorData::new(padding, [batch, length, 1]);
        let padding = Tensor::<3, Bool>::from_data(padding, &output.device());
        output.mask_fill(padding.expand([batch, length, d_model]), 0.0)
    }

    fn is_padding(&self, index: usize) -> bool {
        self.padding_idx == Some(index)
    }

    fn checked(&self, input: Tensor<2, Int>) -> Vec<usize> {
        let n_embedding = self.weight.lazy_shape()[0];
        let check = |index: i64| match usize::try_from(index) {
            Ok(position) if position < n_embedding => position,
            _ => panic!("index {index} is outside the vocabulary of {n_embedding}"),
        };
        input.into_data().iter::<i64>().map(check).collect()
    }

    /// The largest norm, unless every number of the type that norms are computed in is within it.
    fn bound(&self) -> Option<f64> {
        let largest = match self.weight.base().dtype() {
            DType::F64 => f64::MAX,
            _ => f64::from(f32::MAX),
        };
        self.max_norm.filter(|max_norm| *max_norm <= largest)
    }

    /// `w · min(1, max_norm / ‖w‖)` for each row.
    fn clip_norm(&self, rows: Tensor<2>) -> Tensor<2> {
        let Some(max_norm) = self.bound() else {
            return rows;
        };
        // max_norm / max(norm, max_norm) is 1 to the bit for the rows within the bound.
        let norm = norm(rows.clone(), self.norm_type).clamp_min(max_norm);
        let scale = norm.full_like(max_norm) / norm;
        let dtype = rows.dtype();
        rows * scale.cast(dtype)
    }
}

/// Exact, but that an index which occurs twice gives the same vector twice is lost.
///
/// Vectors of bounded norm have no moments in closed form: with `max_norm` the layer gives its mean, and a
/// [pass](BayesianModule::with_moments) refuses it.
impl ForwardMoments<Tensor<2, Int>> for BayesianEmbedding {
    type Output = Moments<3>;

    /// # Panics
    ///
    /// As [`forward`](BayesianEmbedding::forward).
    fn forward_moments(&self, input: Tensor<2, Int>) -> Moments<3> {
        if self.bound().is_some() {
            return Moments::certain(read_means(|| self.forward(input)));
        }
        let indices = self.checked(input.clone());
        let table = WeightMoments::of(&self.weight);
        let rows = |table| self.without_padding(looked_up(table, input.clone()), &indices);
        Moments {
            mean: rows(table.mean),
            variance: table.variance.map(rows),
        }
    }
}

/// The vectors at these places. The gradient of one that stands at many places is added up in `f32` at least: in
/// `bf16` a sum stops to grow at some 256 equal terms.
fn looked_up(vectors: Tensor<2>, places: Tensor<2, Int>) -> Tensor<3> {
    let dtype = type_of_numbers(&vectors);
    embedding(at_least_f32(vectors), places).cast(dtype)
}

/// The p-norm of each row, `[rows, 1]`; in `f32` at least, since in 16 bits squares over- and underflow and a norm
/// rounds to its bound.
fn norm(rows: Tensor<2>, p: f64) -> Tensor<2> {
    let rows = at_least_f32(rows);
    // A row of zeros has a zero gradient instead of an infinite one.
    const SMALLEST: f64 = 1e-30;
    if p.is_infinite() {
        return rows.abs().max_dim(1);
    }
    if p == 2.0 {
        let sum = rows.square().sum_dim(1);
        return sum.clamp_min(SMALLEST).sqrt();
    }
    // In parts of the largest: a high power of a number over- or underflows.
    let sizes = rows.abs();
    let largest = sizes.clone().max_dim(1).detach().clamp_min(SMALLEST);
    // A small power of the smallest number counts: one of 0.1 is a thousandth.
    let is_zero = sizes.clone().equal_elem(0.0);
    let parts = (sizes / largest.clone()).clamp_min(SMALLEST);
    let powers = parts.powf_scalar(p).mask_fill(is_zero, 0.0);
    // Below 1 in a row of zeros alone.
    let sum = powers.sum_dim(1).clamp_min(SMALLEST);
    largest * sum.powf_scalar(1.0 / p)
}

impl ModuleDisplay for BayesianEmbedding {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [n_embedding, d_model] = self.weight.shape().dims();
        let content = content
            .add("n_embedding", &n_embedding)
            .add("d_model", &d_model);
        add_families(content, self)
            .add_debug_attribute("padding_idx", &self.padding_idx)
            .add_debug_attribute("max_norm", &self.max_norm)
            .optional()
    }
}
