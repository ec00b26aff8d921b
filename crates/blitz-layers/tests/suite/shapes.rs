//! Layers of random sizes, with random options, families, estimators and float types: as the deviation vanishes, each
//! is Burn's layer of the same weights.

use std::fmt::Debug;

use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::prelude::*;
use blitz_layers::{BayesianGruCell, BayesianLstmCell, WeightsConfig};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig,
};
use burn::nn::{
    Embedding, EmbeddingConfig, GateController, GruConfig, LinearConfig, LstmConfig, LstmState,
    PaddingConfig1d, PaddingConfig2d, PaddingConfig3d,
};
use burn::tensor::activation::sigmoid;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use crate::priors;
use crate::seeded::normals;
use crate::statistics::{ESTIMATORS, values};
use crate::types::{TYPES, unit};

/// What a layer is made with, besides its own options.
#[derive(Clone, Debug)]
struct Setting {
    posterior: PosteriorConfig,
    prior: PriorConfig,
    estimator: Estimator,
    dtype: DType,
    seed: u64,
}

/// A family of every kind, as near to its mean as it goes.
fn families() -> Vec<PosteriorConfig> {
    vec![
        PosteriorConfig::normal(1e-12),
        PosteriorConfig::laplace(1e-12),
        PosteriorConfig::student_t(4.0, 1e-12),
        PosteriorConfig::radial(1e-12),
        PosteriorConfig::matrix_normal(1e-12),
        PosteriorConfig::full_rank_normal(1e-12),
        PosteriorConfig::low_rank_normal(1, 1e-6),
        PosteriorConfig::low_rank_normal(3, 1e-6),
    ]
}

/// The normal twice: its KL is compared with a closed form.
fn weighted_priors() -> Vec<PriorConfig> {
    let normal = PriorConfig::normal(priors::STD);
    [normal].into_iter().chain(priors::priors()).collect()
}

/// Of the estimators that a layer has, those that the posterior allows.
fn setting(estimators: &'static [Estimator]) -> impl Strategy<Value = Setting> {
    let posterior = select(families()).prop_flat_map(move |posterior| {
        let allowed = match posterior {
            PosteriorConfig::LowRankNormal(_) | PosteriorConfig::FullRankNormal(_) => {
                &estimators[..1]
            }
            PosteriorConfig::Normal(_) | PosteriorConfig::MatrixNormal(_) => estimators,
            _ => &estimators[..estimators.len().min(2)],
        };
        (Just(posterior), select(allowed))
    });
    let rest = (select(weighted_priors()), select(&TYPES[..]), 0..1u64 << 32);
    (posterior, rest).prop_map(|((posterior, estimator), (prior, dtype, seed))| Setting {
        posterior,
        prior,
        estimator,
        dtype,
        seed,
    })
}

/// Those of most layers, in the order in which families lose them.
const ALL: [Estimator; 3] = [ESTIMATORS[0], ESTIMATORS[2], ESTIMATORS[1]];
const RECURRENT: [Estimator; 2] = [Estimator::SharedWeights, Estimator::Flipout];

impl Setting {
    fn weights(&self) -> WeightsConfig {
        WeightsConfig::new()
            .with_posterior(self.posterior.clone())
            .with_prior(self.prior.clone())
    }

    /// The layer with the weights that belong to the paths of its parameters, the same in any layer.
    fn fill<M: Module>(&self, module: M) -> M {
        module.map(&mut Fill {
            dtype: self.dtype,
            seed: self.seed,
            path: Vec::new(),
            attached: false,
        })
    }

    fn input<const D: usize>(&self, seed: u64, shape: [usize; D]) -> Tensor<D> {
        normals(self.seed + seed, shape, &Device::flex()).cast(self.dtype)
    }

    /// Panics unless the numbers are those that Burn has, but for some roundings and a draw's way from the mean.
    fn assert_close<const D: usize>(&self, got: Tensor<D>, wanted: &Tensor<D>, what: &dyn Debug) {
        assert_eq!(got.dims(), wanted.dims(), "{what:?}");
        assert_eq!(got.dtype(), self.dtype, "{what:?}");
        let unit = unit(self.dtype).max(unit(wanted.dtype()));
        let std = match self.posterior {
            PosteriorConfig::LowRankNormal(_) => 1e-6,
            _ => 1e-12,
        };
        let wanted = values(wanted.clone());
        let largest = wanted
            .iter()
            .fold(1.0f64, |most, value| most.max(value.abs()));
        let tolerance = (16.0 * unit + 100.0 * std) * largest;
        for (got, wanted) in values(got).into_iter().zip(wanted) {
            assert!(
                (got - wanted).abs() <= tolerance,
                "{got} for {wanted}, {tolerance}: {what:?}"
            );
        }
    }

    /// Panics unless `layer` computes `wanted` in the mean mode and in a draw, has so many weights, and a KL, of which
    /// `unused` weights pay nothing.
    fn assert_layer<M: Module, const D: usize>(
        &self,
        layer: &M,
        wanted: &Tensor<D>,
        weights: usize,
        unused: &[f64],
        what: &dyn Debug,
        forward: impl Fn(&M) -> Tensor<D>,
    ) {
        self.assert_close(layer.with_mean(&forward), wanted, what);
        let drawn = layer.with_draw(self.seed, 1, &forward);
        self.assert_close(drawn, wanted, what);
        assert_eq!(layer.num_bayesian_weights(), weights, "{what:?}");

        let kl = values(layer.with_draw(self.seed, 1, |layer| layer.kl_cost()))[0];
        assert!(kl.is_finite(), "{kl}: {what:?}");
        let (PosteriorConfig::Normal(posterior), PriorConfig::Normal(_)) =
            (&self.posterior, &self.prior)
        else {
            return;
        };
        let mut squares = Squares::default();
        layer.visit(&mut squares);
        let squares = squares.sum - unused.iter().map(|w| w * w).sum::<f64>();
        let each = (priors::STD / posterior.initial_std).ln() - 0.5;
        let wanted = (weights - unused.len()) as f64 * each + squares / (2.0 * priors::STD.powi(2));
        // ρ near −28 is rounded in the layer's type.
        let tolerance = (unit(self.dtype) + 1e-5) * wanted;
        assert!(
            (kl - wanted).abs() <= tolerance,
            "a KL of {kl} for {wanted}: {what:?}"
        );
    }
}

const ATTACHED: &str = "Reparameterization";

/// Gives weights that are a function of their path alone.
struct Fill {
    dtype: DType,
    seed: u64,
    path: Vec<String>,
    attached: bool,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_string());
        self.attached |= container_type == ATTACHED;
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.path.pop();
        self.attached &= container_type != ATTACHED;
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.attached {
            return param.map(|value| value.cast(self.dtype));
        }
        // FNV-1a.
        let path = self.path.join(".");
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = path.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.seed, hash) >> 16;
        param.map(|value| {
            let values = normals::<D>(seed, value.dims(), &value.device()) * 0.5;
            values.cast(self.dtype)
        })
    }
}

/// The sum of the squares of all means.
#[derive(Default)]
struct Squares {
    sum: f64,
    attached: bool,
}

impl ModuleVisitor for Squares {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.attached |= container_type == ATTACHED;
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.attached &= container_type != ATTACHED;
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.attached {
            self.sum += values(param.base()).iter().map(|w| w * w).sum::<f64>();
        }
    }
}

/// A module in `f32`, the type in which Burn's recurrent layers run.
struct Single;

impl ModuleMapper for Single {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.cast(DType::F32))
    }
}

/// How a kernel moves over an input of up to three axes.
#[derive(Clone, Debug)]
struct Window {
    kernel: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    /// Before and after each axis.
    zeros: [(usize, usize); 3],
    same: bool,
    /// What is left of an input besides what the kernel reaches over.
    rest: [usize; 3],
    padding_out: [usize; 3],
    groups: usize,
    channels: [usize; 2],
    bias: bool,
    batch: usize,
}

fn window() -> impl Strategy<Value = Window> {
    let axes = |range: std::ops::Range<usize>| [range.clone(), range.clone(), range];
    let zeros = || (0..3usize, 0..3usize);
    (
        (axes(1..4), axes(1..4), axes(1..4), axes(0..4), axes(0..3)),
        ([zeros(), zeros(), zeros()], any::<bool>()),
        (1..4usize, [1..3usize, 1..3usize], any::<bool>(), 1..4usize),
    )
        .prop_map(
            |((kernel, stride, dilation, rest, padding_out), (zeros, same), of_layer)| {
                let (groups, [inputs, outputs], bias, batch) = of_layer;
                Window {
                    kernel,
                    stride,
                    dilation,
                    zeros,
                    same,
                    rest,
                    padding_out,
                    groups,
                    channels: [inputs * groups, outputs * groups],
                    bias,
                    batch,
                }
            },
        )
}

/// The first axes.
fn first<const N: usize, T: Copy>(axes: [T; 3]) -> [T; N] {
    std::array::from_fn(|axis| axes[axis])
}

impl Window {
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// An input that the kernel fits into.
    fn size(&self, axis: usize) -> usize {
        if self.same {
            return self.rest[axis] * 2 + 1;
        }
        let (before, after) = self.zeros[axis];
        (self.reach(axis) + self.rest[axis])
            .saturating_sub(before + after)
            .max(1)
    }

    fn sizes<const D: usize>(&self, channels: usize) -> [usize; D] {
        std::array::from_fn(|axis| match axis {
            0 => self.batch,
            1 => channels,
            _ => self.size(axis - 2),
        })
    }

    /// The zeros before and after an axis.
    fn zeros(&self, axis: usize) -> (usize, usize) {
        if !self.same {
            return self.zeros[axis];
        }
        let (size, stride) = (self.size(axis), self.stride[axis]);
        let padded = (size.div_ceil(stride) - 1) * stride + self.reach(axis);
        let total = padded.saturating_sub(size);
        (total / 2, total - total / 2)
    }

    fn padded<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        (2..D).fold(x, |x, axis| {
            let (before, after) = self.zeros(axis - 2);
            let zeros = |count: usize| {
                let mut shape = x.dims();
                shape[axis] = count;
                (count > 0).then(|| Tensor::zeros(shape, (&x.device(), x.dtype())))
            };
            let parts = [zeros(before), Some(x.clone()), zeros(after)];
            Tensor::cat(parts.into_iter().flatten().collect(), axis)
        })
    }

    /// The weights of a layer with a kernel of `axes` axes.
    fn weights(&self, axes: usize) -> usize {
        let kernel: usize = self.kernel[..axes].iter().product();
        let [inputs, outputs] = self.channels;
        outputs * inputs / self.groups * kernel + if self.bias { outputs } else { 0 }
    }

    /// What a transposed convolution cuts off and adds, so that something is left.
    fn cut(mut self) -> Self {
        self.same = false;
        for axis in 0..3 {
            self.padding_out[axis] %= self.stride[axis].max(self.dilation[axis]);
            let full =
                self.rest[axis] * self.stride[axis] + self.reach(axis) + self.padding_out[axis];
            self.zeros[axis].0 = self.zeros[axis].0.min((full - 1) / 2);
        }
        self
    }

    /// The input of a transposed convolution.
    fn coarse<const D: usize>(&self) -> [usize; D] {
        let mut shape = self.sizes(self.channels[0]);
        for (size, rest) in shape[2..].iter_mut().zip(self.rest) {
            *size = rest + 1;
        }
        shape
    }
}

/// Burn's layer over an input with the zeros around it, and ours, which pads itself.
macro_rules! assert_convolution {
    ($window:ident, $setting:ident, $burn:ident, $bayesian:ident, $new:tt, $axes:literal, $stride:expr, $dilation:expr, $same:expr, $explicit:expr) => {{
        let device = Device::flex();
        let x: Tensor<{ $axes + 2 }> = $setting.input(1, $window.sizes($window.channels[0]));
        let burn = $burn::new $new
            .with_stride($stride)
            .with_dilation($dilation)
            .with_groups($window.groups)
            .with_bias($window.bias);
        let wanted = $setting.fill(burn.init(&device)).forward($window.padded(x.clone()));
        let config = $bayesian::new $new
            .with_stride($stride)
            .with_dilation($dilation)
            .with_groups($window.groups)
            .with_bias($window.bias)
            .with_padding(if $window.same { $same } else { $explicit })
            .with_weights($setting.weights())
            .with_estimator($setting.estimator);
        let layer = $setting.fill(config.init(&device));
        let what = (&$window, &$setting);
        $setting.assert_layer(&layer, &wanted, $window.weights($axes), &[], &what, |layer| {
            layer.forward(x.clone())
        });
    }};
}

macro_rules! assert_transposed {
    ($window:ident, $setting:ident, $burn:ident, $bayesian:ident, $axes:literal, $of:expr) => {{
        let device = Device::flex();
        let of = $of;
        let x: Tensor<{ $axes + 2 }> = $setting.input(1, $window.coarse());
        let cut = $window.zeros.map(|(before, _)| before);
        let burn = $burn::new($window.channels, of($window.kernel))
            .with_stride(of($window.stride))
            .with_dilation(of($window.dilation))
            .with_groups($window.groups)
            .with_bias($window.bias)
            .with_padding(of(cut))
            .with_padding_out(of($window.padding_out));
        let wanted = $setting.fill(burn.init(&device)).forward(x.clone());
        let config = $bayesian::new($window.channels, of($window.kernel))
            .with_stride(of($window.stride))
            .with_dilation(of($window.dilation))
            .with_groups($window.groups)
            .with_bias($window.bias)
            .with_padding(of(cut))
            .with_padding_out(of($window.padding_out))
            .with_weights($setting.weights())
            .with_estimator($setting.estimator);
        let layer = $setting.fill(config.init(&device));
        let what = (&$window, &$setting);
        $setting.assert_layer(
            &layer,
            &wanted,
            $window.weights($axes),
            &[],
            &what,
            |layer| layer.forward(x.clone()),
        );
        for axis in 0..$axes {
            let full = $window.rest[axis] * $window.stride[axis]
                + $window.reach(axis)
                + $window.padding_out[axis];
            assert_eq!(wanted.dims()[axis + 2], full - 2 * cut[axis], "{what:?}");
        }
    }};
}

/// The options of a recurrent layer.
#[derive(Clone, Debug)]
struct Sequence {
    d_input: usize,
    d_hidden: usize,
    num_layers: usize,
    length: usize,
    batch: usize,
    bias: bool,
    bidirectional: bool,
    reverse: bool,
    batch_first: bool,
    with_state: bool,
    clip: Option<f64>,
    /// The input gate's complement as forget gate, or the reset before the product.
    other_gates: bool,
    peephole: bool,
}

fn sequence() -> impl Strategy<Value = Sequence> {
    let sizes = (1..5usize, 1..5usize, 1..4usize, 1..6usize, 1..4usize);
    let switches = proptest::array::uniform7(any::<bool>());
    (sizes, switches, proptest::option::of(Just(0.3))).prop_map(|(sizes, switches, clip)| {
        let (d_input, d_hidden, num_layers, length, batch) = sizes;
        let [
            bias,
            bidirectional,
            reverse,
            batch_first,
            with_state,
            other_gates,
            peephole,
        ] = switches;
        Sequence {
            d_input,
            d_hidden,
            num_layers,
            length,
            batch,
            bias,
            bidirectional,
            reverse: reverse && !bidirectional,
            batch_first,
            with_state,
            clip,
            other_gates,
            peephole,
        }
    })
}

impl Sequence {
    fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    fn features(&self, layer: usize) -> usize {
        match layer {
            0 => self.d_input,
            _ => self.d_hidden * self.directions(),
        }
    }

    /// The weights of `gates` gates and `peepholes` vectors in every layer and direction.
    fn weights(&self, gates: usize, peepholes: usize) -> usize {
        let biases = if self.bias { 2 } else { 0 };
        let of_layer = |layer| {
            let rows = self.features(layer) + self.d_hidden + biases;
            self.directions() * self.d_hidden * (gates * rows + peepholes)
        };
        (0..self.num_layers).map(of_layer).sum()
    }

    /// A sequence as the layer takes it, and the same in `f32` with the batch first.
    fn input(&self, setting: &Setting) -> (Tensor<3>, Tensor<3>) {
        let x = setting.input(1, [self.batch, self.length, self.d_input]);
        (self.layout(x.clone()), x.cast(DType::F32))
    }

    fn layout(&self, x: Tensor<3>) -> Tensor<3> {
        if self.batch_first {
            x
        } else {
            x.swap_dims(0, 1)
        }
    }

    fn state(&self, setting: &Setting, seed: u64) -> Tensor<3> {
        let shape = [
            self.num_layers * self.directions(),
            self.batch,
            self.d_hidden,
        ];
        let state = setting.input(seed, shape);
        if self.with_state {
            state
        } else {
            state.zeros_like()
        }
    }

    /// One direction of one layer of an LSTM: Burn's, or with peepholes the equations.
    fn lstm(
        &self,
        cell: &BayesianLstmCell,
        x: Tensor<3>,
        state: LstmState<2>,
        reverse: bool,
    ) -> (Tensor<3>, LstmState<2>) {
        let cell = cell.mean_network().map(&mut Single);
        let Some(peephole) = &cell.peephole else {
            let [_, _, features] = x.dims();
            let plain = LstmConfig::new(features, self.d_hidden, self.bias)
                .with_reverse(reverse)
                .with_clip(self.clip)
                .with_input_forget(self.other_gates)
                .init(&x.device())
                .load_record(cell.into_record());
            return plain.forward(x, Some(state));
        };
        let x = if reverse { x.flip([1]) } else { x };
        let LstmState {
            cell: mut c,
            hidden: mut h,
        } = state;
        let mut outputs = Vec::new();
        for t in 0..self.length {
            let x = x.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
            let at = h.clone();
            let gate = |gate: &GateController| {
                gate.input_transform.forward(x.clone()) + gate.hidden_transform.forward(at.clone())
            };
            let sees = |weight: &Param<Tensor<1>>, c: &Tensor<2>| {
                weight.val().unsqueeze::<2>() * c.clone()
            };
            let i = sigmoid(gate(&cell.input_gate) + sees(&peephole.input, &c));
            let f = match (&cell.forget_gate, &peephole.forget) {
                (Some(forget), Some(weight)) => sigmoid(gate(forget) + sees(weight, &c)),
                _ => i.ones_like() - i.clone(),
            };
            c = f * c + i * gate(&cell.cell_gate).tanh();
            if let Some(clip) = self.clip {
                c = c.clamp(-clip, clip);
            }
            let o = sigmoid(gate(&cell.output_gate) + sees(&peephole.output, &c));
            h = o * c.clone().tanh();
            outputs.push(h.clone());
        }
        let output = Tensor::stack::<3>(outputs, 1);
        let output = if reverse { output.flip([1]) } else { output };
        (output, LstmState::new(c, h))
    }

    /// One direction of one layer of Burn's GRU, and its last state.
    fn gru(
        &self,
        cell: &BayesianGruCell,
        x: Tensor<3>,
        state: Tensor<2>,
        reverse: bool,
    ) -> (Tensor<3>, Tensor<2>) {
        let [_, _, features] = x.dims();
        let plain = GruConfig::new(features, self.d_hidden, self.bias)
            .with_clip(self.clip)
            .with_reset_after(!self.other_gates)
            .init(&x.device())
            .load_record(cell.mean_network().map(&mut Single).into_record());
        let x = if reverse { x.flip([1]) } else { x };
        let output = plain.forward(x, Some(state));
        let end = output.clone().narrow(1, self.length - 1, 1).squeeze_dim(1);
        let output = if reverse { output.flip([1]) } else { output };
        (output, end)
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn linear_layers_of_all_sizes_are_burns(
        setting in setting(&ALL),
        sizes in [1..9usize, 1..9usize, 1..5usize, 1..4usize],
        bias in any::<bool>(),
    ) {
        let [d_input, d_output, rows, groups] = sizes;
        let device = Device::flex();
        let x: Tensor<3> = setting.input(1, [groups, rows, d_input]);
        let plain = LinearConfig::new(d_input, d_output).with_bias(bias).init(&device);
        let wanted = setting.fill(plain).forward(x.clone());
        let config = BayesianLinearConfig::new(d_input, d_output)
            .with_bias(bias)
            .with_weights(setting.weights())
            .with_estimator(setting.estimator);
        let layer = setting.fill(config.init(&device));
        let weights = d_input * d_output + if bias { d_output } else { 0 };
        setting.assert_layer(&layer, &wanted, weights, &[], &(&setting, sizes, bias), |layer| {
            layer.forward(x.clone())
        });
    }

    #[test]
    fn embeddings_of_all_sizes_are_burns(
        setting in setting(&RECURRENT[..1]),
        sizes in [1..9usize, 1..7usize, 1..4usize, 1..5usize],
        padding in proptest::option::of(0..9usize),
        max_norm in proptest::option::of((0.2..2.0f64, select(vec![1.0, 2.0, 3.0, f64::INFINITY]))),
        words in proptest::collection::vec(0..9usize, 12),
    ) {
        let [n_embedding, d_model, batch, length] = sizes;
        let device = Device::flex();
        let padding = padding.map(|row| row % n_embedding);
        let words: Vec<i64> = words[..batch * length]
            .iter()
            .map(|word| (word % n_embedding) as i64)
            .collect();
        let words = TensorData::new(words, [batch, length]);
        let words = Tensor::<2, Int>::from_data(words, &device);
        let mut config = BayesianEmbeddingConfig::new(n_embedding, d_model)
            .with_padding_idx(padding)
            .with_weights(setting.weights());
        if let Some((norm, norm_type)) = max_norm {
            config = config.with_max_norm(Some(norm)).with_norm_type(norm_type);
        }
        let layer = setting.fill(config.init(&device));

        // Burn's table with the rows as the options have them.
        let plain: Embedding = setting.fill(EmbeddingConfig::new(n_embedding, d_model).init(&device));
        let mut table = values(plain.weight.val());
        let unused = padding.map_or(0..0, |row| row * d_model..(row + 1) * d_model);
        let unread = table[unused.clone()].to_vec();
        for row in table.chunks_mut(d_model) {
            let Some((most, p)) = max_norm else { break };
            let norm = match p {
                f64::INFINITY => row.iter().fold(0.0f64, |most, w| most.max(w.abs())),
                p => row.iter().map(|w| w.abs().powf(p)).sum::<f64>().powf(1.0 / p),
            };
            row.iter_mut().for_each(|w| *w *= (most / norm).min(1.0));
        }
        table[unused].fill(0.0);
        let table = TensorData::new(table, [n_embedding, d_model]);
        let table = Tensor::<2>::from_data(table, (&device, DType::F64)).cast(setting.dtype);
        let wanted = Embedding { weight: Param::from_tensor(table) }.forward(words.clone());

        let unread = match setting.posterior {
            // It is of the whole table.
            PosteriorConfig::Radial(_) => &[][..],
            _ => &unread,
        };
        let what = (&setting, sizes, padding, max_norm);
        setting.assert_layer(&layer, &wanted, n_embedding * d_model, unread, &what, |layer| {
            layer.forward(words.clone())
        });
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn convolutions_of_one_axis_are_burns(window in window(), setting in setting(&ALL)) {
        let [(left, right), ..] = window.zeros;
        assert_convolution!(
            window, setting, Conv1dConfig, BayesianConv1dConfig,
            (window.channels[0], window.channels[1], window.kernel[0]), 1,
            window.stride[0], window.dilation[0],
            PaddingConfig1d::Same, PaddingConfig1d::Explicit(left, right)
        );
    }

    #[test]
    fn convolutions_of_two_axes_are_burns(window in window(), setting in setting(&ALL)) {
        let [(top, bottom), (left, right), _] = window.zeros;
        assert_convolution!(
            window, setting, Conv2dConfig, BayesianConv2dConfig,
            (window.channels, first(window.kernel)), 2,
            first(window.stride), first(window.dilation),
            PaddingConfig2d::Same, PaddingConfig2d::Explicit(top, left, bottom, right)
        );
    }

    #[test]
    fn convolutions_of_three_axes_are_burns(mut window in window(), setting in setting(&ALL)) {
        // Burn's padding of three axes is the same at both ends.
        window.zeros = window.zeros.map(|(before, _)| (before, before));
        let [depth, height, width] = window.zeros.map(|(before, _)| before);
        assert_convolution!(
            window, setting, Conv3dConfig, BayesianConv3dConfig,
            (window.channels, window.kernel), 3,
            window.stride, window.dilation,
            PaddingConfig3d::Same, PaddingConfig3d::Explicit(depth, height, width)
        );
    }

    #[test]
    fn transposed_convolutions_are_burns(window in window(), setting in setting(&ALL)) {
        let window = window.cut();
        assert_transposed!(
            window, setting, ConvTranspose1dConfig, BayesianConvTranspose1dConfig, 1,
            |axes: [usize; 3]| axes[0]
        );
        assert_transposed!(
            window, setting, ConvTranspose2dConfig, BayesianConvTranspose2dConfig, 2,
            first::<2, usize>
        );
        assert_transposed!(
            window, setting, ConvTranspose3dConfig, BayesianConvTranspose3dConfig, 3,
            first::<3, usize>
        );
    }

    #[test]
    fn lstms_of_all_sizes_are_burns(options in sequence(), setting in setting(&RECURRENT)) {
        let device = Device::flex();
        let config = BayesianLstmConfig::new(options.d_input, options.d_hidden, options.bias)
            .with_num_layers(options.num_layers)
            .with_bidirectional(options.bidirectional)
            .with_peephole(options.peephole)
            .with_batch_first(options.batch_first)
            .with_reverse(options.reverse)
            .with_clip(options.clip)
            .with_input_forget(options.other_gates)
            .with_weights(setting.weights())
            .with_estimator(setting.estimator);
        let layer = setting.fill(config.init(&device));
        let (x, mut steps) = options.input(&setting);
        let [cell, hidden] = [2, 3].map(|seed| options.state(&setting, seed));
        let state = LstmState::new(cell.clone(), hidden.clone());
        let start = |at: usize| {
            let part = |state: &Tensor<3>| state.clone().narrow(0, at, 1).squeeze_dim(0).cast(DType::F32);
            LstmState::<2>::new(part(&cell), part(&hidden))
        };
        let mut ends: Vec<LstmState<2>> = Vec::new();
        for of_layer in &layer.layers {
            let (mut outputs, first) = (Vec::new(), options.reverse);
            let (output, end) = options.lstm(&of_layer.forward, steps.clone(), start(ends.len()), first);
            outputs.push(output);
            ends.push(end);
            if let Some(reverse) = &of_layer.reverse {
                let (output, end) = options.lstm(reverse, steps.clone(), start(ends.len()), true);
                outputs.push(output);
                ends.push(end);
            }
            steps = Tensor::cat(outputs, 2);
        }
        let gates = 4 - usize::from(options.other_gates);
        let peepholes = if options.peephole { gates - 1 } else { 0 };
        let what = (&options, &setting);
        let wanted = options.layout(steps);
        let run = |layer: &BayesianLstm| {
            layer.forward(x.clone(), options.with_state.then(|| state.clone()))
        };
        let weights = options.weights(gates, peepholes);
        setting.assert_layer(&layer, &wanted, weights, &[], &what, |layer| run(layer).0);
        let (_, end) = layer.with_draw(1, 1, run);
        let (cells, hiddens): (Vec<_>, Vec<_>) = ends.into_iter().map(|end| (end.cell, end.hidden)).unzip();
        setting.assert_close(end.cell, &Tensor::stack(cells, 0), &what);
        setting.assert_close(end.hidden, &Tensor::stack(hiddens, 0), &what);
    }

    #[test]
    fn grus_of_all_sizes_are_burns(options in sequence(), setting in setting(&RECURRENT)) {
        let device = Device::flex();
        let config = BayesianGruConfig::new(options.d_input, options.d_hidden, options.bias)
            .with_num_layers(options.num_layers)
            .with_bidirectional(options.bidirectional)
            .with_batch_first(options.batch_first)
            .with_reverse(options.reverse)
            .with_clip(options.clip)
            .with_reset_after(!options.other_gates)
            .with_weights(setting.weights())
            .with_estimator(setting.estimator);
        let layer = setting.fill(config.init(&device));
        let (x, mut steps) = options.input(&setting);
        let state = options.state(&setting, 2);
        let start = |at: usize| state.clone().narrow(0, at, 1).squeeze_dim(0).cast(DType::F32);
        let mut ends: Vec<Tensor<2>> = Vec::new();
        for of_layer in &layer.layers {
            let mut outputs = Vec::new();
            let (output, end) =
                options.gru(&of_layer.forward, steps.clone(), start(ends.len()), options.reverse);
            outputs.push(output);
            ends.push(end);
            if let Some(reverse) = &of_layer.reverse {
                let (output, end) = options.gru(reverse, steps.clone(), start(ends.len()), true);
                outputs.push(output);
                ends.push(end);
            }
            steps = Tensor::cat(outputs, 2);
        }
        let what = (&options, &setting);
        let wanted = options.layout(steps);
        let run = |layer: &BayesianGru| {
            layer.forward(x.clone(), options.with_state.then(|| state.clone()))
        };
        let weights = options.weights(3, 0);
        setting.assert_layer(&layer, &wanted, weights, &[], &what, |layer| run(layer).0);
        let (_, end) = layer.with_draw(1, 1, run);
        setting.assert_close(end, &Tensor::stack(ends, 0), &what);
    }
}
