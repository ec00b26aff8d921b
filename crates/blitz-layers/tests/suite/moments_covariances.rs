//! Moments with covariances, against numerical integration, closed forms and draws.

use blitz_core::noise::NoiseKey;
use blitz_layers::moments::{Correlated, Correlations, ForwardMoments, Moments};
use blitz_layers::prelude::*;
use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNormConfig, Gelu, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{relu, softplus};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::seeded::{normals, seeded_for_relu, seeded_throughout};
use crate::statistics::{assert_mean, values};

/// Means and deviations of x and y, and their correlation.
const JOINT: [[f64; 5]; 6] = [
    [0.0, 1.0, 0.0, 1.0, 0.5],
    [0.0, 1.0, 0.0, 1.0, -0.9],
    [0.3, 0.5, -0.6, 1.0, 0.8],
    [-0.58, 1.0, -1.16, 2.0, 0.99],
    [2.0, 1.0, -2.0, 1.0, -0.3],
    [-1.0, 2.0, 4.0, 1.0, 0.7],
];

// Cov[f(x), f(y)] of moments_reference.py.
const RELU: [f64; 6] = [
    0.1453439474,
    -0.1543857437,
    0.09554139595,
    0.2937400476,
    -0.006476915152,
    0.4319497276,
];
const LEAKY_RELU: [f64; 6] = [
    0.1677285974,
    -0.2150524524,
    0.1173885307,
    0.3578626234,
    -0.03524630127,
    0.5287510187,
];
const GELU: [f64; 6] = [
    0.1477174435,
    -0.148608601,
    0.08820564894,
    0.2919058696,
    0.007969135726,
    0.4144832712,
];
const SIGMOID: [f64; 6] = [
    0.02142832563,
    -0.03891801226,
    0.01809891835,
    0.05626656005,
    -0.004206827527,
    0.004566941084,
];
const SILU: [f64; 6] = [
    0.1404774403,
    -0.1741537949,
    0.08581721014,
    0.2840306258,
    0.004219626952,
    0.432130906,
];
const TANH: [f64; 6] = [
    0.1863244132,
    -0.3492033506,
    0.1677621492,
    0.4052985849,
    -0.01283506053,
    0.002581379021,
];

type Joint = Moments<2, Correlated>;

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
}

/// One row for each case.
fn pairs(cases: &[[f64; 5]], dtype: DType) -> Joint {
    let means = cases.iter().flat_map(|[m, _, n, ..]| [*m, *n]);
    let covariances = cases
        .iter()
        .flat_map(|[_, s, _, t, rho]| [s * s, rho * s * t, rho * s * t, t * t]);
    Moments::joint(
        tensor(means.collect(), [cases.len(), 2], dtype),
        tensor(covariances.collect(), [cases.len(), 2, 2], dtype),
    )
}

/// What the four terms leave out, and the quadrature of the smooth ones for deviations up to 2.
#[test]
fn functions_of_two_normals_have_their_covariance_as_near_as_stated() {
    type Function = fn(Joint) -> Joint;
    let functions: [(&str, Function, [f64; 6], f64, f64); 6] = [
        ("relu", Moments::relu, RELU, 0.0054, 0.0),
        (
            "leaky",
            |x| x.leaky_relu(0.1),
            LEAKY_RELU,
            0.0054 * 0.81,
            0.0,
        ),
        ("gelu", Moments::gelu, GELU, 0.006, 0.002),
        ("sigmoid", Moments::sigmoid, SIGMOID, 3e-4, 1e-4),
        ("silu", Moments::silu, SILU, 0.0027, 3e-4),
        ("tanh", Moments::tanh, TANH, 0.0101, 0.008),
    ];
    for (name, f, expected, rest, of_quadrature) in functions {
        for (dtype, rounding) in [(DType::F64, 1e-9), (DType::F32, 2e-6)] {
            let covariances = values(f(pairs(&JOINT, dtype)).covariance().unwrap());
            for (i, [_, s, _, t, rho]) in JOINT.iter().enumerate() {
                let off = (covariances[4 * i + 1] - expected[i]).abs();
                let bound = rest * rho.abs().powi(5) + of_quadrature * rho.abs() + rounding;
                assert!(
                    off < bound * s * t,
                    "{name} {i}: {off} for {}",
                    bound * s * t
                );
                assert!(
                    (covariances[4 * i + 1] - covariances[4 * i + 2]).abs() < rounding,
                    "{name} {i}"
                );
            }
        }
    }
}

#[test]
fn a_function_of_ones_own_has_covariances_by_the_same_quadrature() {
    let own = |x: Joint| x.by_quadrature(|x| x.clone().square() * 0.5 + x);
    let covariances = values(own(pairs(&JOINT, DType::F64)).covariance().unwrap());
    for (i, [m, s, n, t, rho]) in JOINT.into_iter().enumerate() {
        // Of x²/2 + x: (1 + m)(1 + n) c + c²/2.
        let c = rho * s * t;
        let exact = (1.0 + m) * (1.0 + n) * c + 0.5 * c * c;
        assert!((covariances[4 * i + 1] - exact).abs() < 1e-12, "{i}");
    }
    let softplus = |x: Joint| x.by_quadrature(|x| softplus(x, 1.0));
    let output = softplus(pairs(&JOINT, DType::F64));
    assert_semidefinite(&output, 1e-12);
}

/// The smallest pivot of each covariance, in parts of its trace.
fn assert_semidefinite(moments: &Joint, rounding: f64) {
    let [rows, n] = moments.dims();
    let all = values(moments.covariance().unwrap());
    assert_eq!(all.len(), rows * n * n);
    for covariance in all.chunks(n * n) {
        let trace: f64 = (0..n).map(|i| covariance[i * (n + 1)]).sum();
        let mut rest = covariance.to_vec();
        for pivot in 0..n {
            let own = rest[pivot * (n + 1)];
            assert!(own >= -rounding * trace, "pivot {pivot}: {own} of {trace}");
            if own <= rounding * trace {
                continue;
            }
            for i in pivot + 1..n {
                for j in pivot + 1..n {
                    rest[i * n + j] -= rest[i * n + pivot] * rest[pivot * n + j] / own;
                }
            }
        }
    }
}

/// Some layers and ReLUs between them.
#[derive(Module, Debug)]
struct Net {
    layers: Vec<BayesianLinear>,
    has_activations: bool,
}

impl Net {
    fn new(widths: &[usize], std: f64) -> Self {
        let layer = |pair: &[usize]| {
            let config = BayesianLinearConfig::new(pair[0], pair[1]);
            let config = config.with_posterior(PosteriorConfig::normal(std));
            config.init(&Device::flex())
        };
        let net = Self {
            layers: widths.windows(2).map(layer).collect(),
            has_activations: true,
        };
        seeded_for_relu(net, 21)
    }

    fn linear(widths: &[usize], std: f64) -> Self {
        Self {
            has_activations: false,
            ..Self::new(widths, std)
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (i, layer)| match i {
            0 => layer.forward(x),
            _ if self.has_activations => layer.forward(relu(x)),
            _ => layer.forward(x),
        })
    }
}

impl<C: Correlations> ForwardMoments<Moments<2, C>> for Net {
    type Output = Moments<2, C>;

    fn forward_moments(&self, x: Moments<2, C>) -> Moments<2, C> {
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (i, layer)| match i {
            0 => layer.forward_moments(x),
            _ if self.has_activations => layer.forward_moments(x.relu()),
            _ => layer.forward_moments(x),
        })
    }
}

fn inputs(rows: usize, width: usize) -> Tensor<2> {
    normals(3, [rows, width], &Device::flex())
}

fn joint<N: Module + ForwardMoments<Joint, Output = Joint>>(net: &N, x: Joint) -> Joint {
    let moments = net.with_moments(|net| net.forward_moments(x));
    moments.unwrap_or_else(|error| panic!("{error}"))
}

fn samples(draws: u64, draw: impl Fn(u64) -> Tensor<2>) -> Vec<Vec<f64>> {
    (0..draws).map(|index| values(draw(index))).collect()
}

/// Panics unless samples of rows have these moments, by the standard errors of theirs.
fn assert_moments(samples: &[Vec<f64>], moments: &Joint, what: &str) {
    let [_, n] = moments.dims();
    let mean = values(moments.mean.clone());
    assert_mean(samples, &mean, what);
    let covariances = values(moments.covariance().unwrap());
    let products: Vec<Vec<f64>> = samples
        .iter()
        .map(|sample| {
            let off: Vec<f64> = sample.iter().zip(&mean).map(|(x, m)| x - m).collect();
            let rows = off.chunks(n);
            let products =
                rows.flat_map(|row| row.iter().flat_map(|a| row.iter().map(move |b| a * b)));
            products.collect()
        })
        .collect();
    assert_mean(&products, &covariances, what);
}

/// Draws of rows with these moments, by differences of the covariance's triangular root.
fn drawn(mean: &Tensor<2>, root: &Tensor<2>, index: u64) -> Tensor<2> {
    let [rows, n] = mean.dims();
    let mut noise = vec![0.0; rows * n];
    NoiseKey::new(91, index, 0).fill_standard_normal(0, &mut noise);
    let noise = Tensor::<2>::from_data(TensorData::new(noise, [rows, n]), &mean.device());
    mean.clone() + noise.matmul(root.clone().transpose())
}

/// Correlated features, as moments and as draws.
fn correlated(rows: usize, n: usize) -> (Joint, impl Fn(u64) -> Tensor<2>) {
    let device = Device::flex();
    let mean = normals(71, [rows, n], &device);
    let root = normals::<2>(72, [n, n], &device) * 0.5;
    let covariance = root.clone().matmul(root.clone().transpose());
    let covariance = covariance.unsqueeze::<3>().repeat_dim(0, rows);
    let moments = Moments::joint(mean.clone(), covariance);
    (moments, move |index| drawn(&mean, &root, index))
}

const DRAWS: u64 = 20_000;

/// Each layer's outputs are products of the weights of all, whose first two moments are exact.
#[test]
fn a_deep_linear_network_has_the_exact_covariances_of_its_outputs() {
    let net = Net::linear(&[2, 4, 5, 3], 0.3);
    let x = inputs(2, 2);
    let moments = joint(&net, Moments::certain(x.clone()).with_covariances());
    let samples = samples(DRAWS, |i| net.with_draw(4, i, |net| net.forward(x.clone())));
    assert_moments(&samples, &moments, "linear");
    // Of the mean alone: Var y = Σ E[h hᵀ] var w + var b by hand, with the draws' covariances of no part in it.
    let alone = net.with_moments(|net| net.forward_moments(x)).unwrap();
    let pairs = values(alone.variance() / moments.variance());
    assert!(
        pairs.iter().any(|ratio| (ratio - 1.0).abs() > 0.05),
        "{pairs:?}"
    );
}

#[test]
fn a_linear_layer_takes_covariances_through_its_means_and_adds_its_own() {
    let (x, _) = correlated(2, 3);
    let x = Joint::joint(
        x.mean.clone().cast(DType::F64),
        x.covariance().unwrap().cast(DType::F64),
    );
    let weight = normals::<2>(8, [3, 2], &Device::flex()).cast(DType::F64);
    let mut layer = LinearConfig::new(3, 2)
        .with_bias(false)
        .init(&Device::flex());
    layer.weight = Param::from_tensor(weight.clone());
    let output = layer.forward_moments(x.clone());
    let (w, input) = (values(weight), values(x.covariance().unwrap()));
    let got = values(output.covariance().unwrap());
    for row in 0..2 {
        for (j, k) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let terms =
                (0..9).map(|ab| w[ab / 3 * 2 + j] * input[9 * row + ab] * w[ab % 3 * 2 + k]);
            let off = got[4 * row + 2 * j + k] - terms.sum::<f64>();
            assert!(off.abs() < 1e-13, "{off}");
        }
    }
}

#[test]
fn a_network_with_one_hidden_layer_has_the_exact_covariances_of_its_outputs() {
    let net = Net::new(&[2, 6, 3], 0.3);
    let x = inputs(2, 2);
    let moments = joint(&net, Moments::certain(x.clone()).with_covariances());
    let samples = samples(DRAWS, |i| net.with_draw(4, i, |net| net.forward(x.clone())));
    assert_moments(&samples, &moments, "one hidden layer");
    assert_semidefinite(&moments, 1e-5);
}

/// Its last hidden units are no longer normal, which is what is left.
#[test]
fn covariances_bring_deeper_networks_near_their_draws() {
    let net = Net::new(&[3, 20, 20, 20, 2], 0.15);
    let x = inputs(4, 3);
    let together = joint(&net, Moments::certain(x.clone()).with_covariances());
    let alone = net
        .with_moments(|net| net.forward_moments(x.clone()))
        .unwrap();
    let draws = (0..6000).map(|i| net.with_draw(4, i, |net| net.forward(x.clone())));
    let draws: Tensor<3> = Tensor::stack(draws.collect(), 0);
    let (variance, mean) = draws.clone().var_mean(0);
    let (variance, mean) = (variance.squeeze_dim::<2>(0), mean.squeeze_dim::<2>(0));
    let off = |moments: Tensor<2>| {
        let ratios = values((moments / variance.clone()).sqrt());
        ratios
            .into_iter()
            .map(|r| (r - 1.0).abs())
            .fold(0.0, f64::max)
    };
    // A deviation of 6000 draws is known to 0.9 %, of which four are seen.
    let offs = [off(together.variance()), off(alone.variance())];
    assert!(offs[0] < 0.04 && offs[1] > 0.06, "{offs:?}");
    let products = draws - mean.unsqueeze();
    let [_, rows, _] = products.dims();
    let first = products.clone().narrow(2, 0, 1);
    let between: Tensor<3> = (first * products.narrow(2, 1, 1)).mean_dim(0);
    let correlations = between.reshape([rows]) / variance.prod_dim(1).sqrt().reshape([rows]);
    let stds = together.std_dev().prod_dim(1).reshape([rows]);
    let got = together
        .covariance()
        .unwrap()
        .narrow(1, 0, 1)
        .narrow(2, 1, 1);
    let off = values(got.reshape([rows]) / stds - correlations);
    assert!(off.iter().all(|off| off.abs() < 0.08), "{off:?}");
}

#[test]
fn small_deviations_end_in_the_deterministic_network() {
    for std in [1e-3, 1e-5, 1e-8] {
        let net = Net::new(&[3, 20, 20, 2], std);
        let x = inputs(4, 3);
        let moments = joint(&net, Moments::certain(x.clone()).with_covariances());
        let output = net.with_mean(|net| net.forward(x));
        let off = values((moments.mean.clone() - output).abs().max())[0];
        assert!(off < 1e-6 + 2.0 * std, "{std}: {off}");
        let largest = values(moments.covariance().unwrap().abs().max())[0];
        assert!(largest < 100.0 * std * std, "{std}: {largest}");
    }
    // None at all.
    let device = Device::flex();
    let layer: Linear = LinearConfig::new(3, 2).init(&device);
    let x = inputs(2, 3);
    let zero = Moments::new(x.clone(), x.zeros_like()).with_covariances();
    let output = layer.forward_moments(layer_of(3).forward_moments(zero).relu());
    assert!(
        values(output.covariance().unwrap())
            .iter()
            .all(|c| *c == 0.0)
    );
    let certain = layer.forward_moments(Moments::certain(x).with_covariances());
    assert!(certain.variance.is_none() && certain.covariance().is_none());
}

fn layer_of(width: usize) -> Linear {
    seeded_throughout(LinearConfig::new(width, width).init(&Device::flex()), 6)
}

#[test]
fn units_without_covariances_have_the_moments_of_independent_ones() {
    let net = Net::new(&[3, 7], 0.3);
    let x = Moments::certain(inputs(2, 3));
    let alone = net.forward_moments(x.clone()).relu();
    let together = net.forward_moments(x.with_covariances()).relu();
    assert!(together.covariance().is_none());
    let together = together.marginals();
    assert_eq!(
        together.mean.clone().into_data(),
        alone.mean.clone().into_data()
    );
    assert_eq!(
        together.variance().into_data(),
        alone.variance().into_data()
    );
    // And those of the next layer are of independent inputs.
    let net = Net::new(&[3, 7, 5], 0.3);
    let x = Moments::certain(inputs(2, 3));
    let alone = net.forward_moments(x.clone()).variance();
    let together = net.forward_moments(x.with_covariances());
    assert!(together.covariance().is_some());
    assert_eq!(together.variance().into_data(), alone.into_data());
}

#[test]
fn a_full_rank_posterior_takes_covariances() {
    let posterior = PosteriorConfig::full_rank_normal(0.3);
    let config = BayesianLinearConfig::new(3, 2).with_posterior(posterior);
    let layer = seeded_throughout(config.init(&Device::flex()), 7);
    let (x, draw) = correlated(2, 3);
    let moments = joint(&layer, x);
    let samples = samples(DRAWS, |i| {
        layer.with_draw(4, i, |layer| layer.forward(draw(i)))
    });
    assert_moments(&samples, &moments, "full rank");
}

#[test]
fn norms_and_dropout_keep_covariances() {
    let device = Device::flex();
    let (x, draw) = correlated(2, 4);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.2));
    let mut norm = BatchNormConfig::new(4).init(&device);
    norm.running_mean = RunningState::new(normals(13, [4], &device));
    norm.running_var = RunningState::new(normals::<1>(14, [4], &device).square() + 0.5);
    let norm = seeded_throughout(norm, 9).bayesianize(&config);
    let moments = joint(&norm, x.clone());
    let batches = samples(DRAWS, |i| {
        norm.with_draw(4, i, |norm| norm.forward(draw(i)))
    });
    assert_moments(&batches, &moments, "batch norm");
    let dropout = McDropoutConfig::new(0.3).init();
    let moments = joint(&dropout, x);
    let dropped = samples(DRAWS, |i| {
        dropout.with_draw(4, i, |dropout| dropout.forward(draw(i)))
    });
    assert_moments(&dropped, &moments, "dropout");
}

/// To first order, which many features make good.
#[test]
fn a_layer_norm_keeps_covariances() {
    const FEATURES: usize = 100;
    let device = Device::flex();
    let norm = LayerNormConfig::new(FEATURES).init(&device);
    let mean = normals::<2>(71, [1, FEATURES], &device);
    let root = normals::<2>(72, [FEATURES, FEATURES], &device) * 0.05;
    let covariance = root.clone().matmul(root.clone().transpose());
    let moments = norm.forward_moments(Moments::joint(mean.clone(), covariance.unsqueeze()));
    assert_semidefinite(&moments, 1e-5);
    let draws = (0..4000).map(|i| norm.forward(drawn(&mean, &root, i)));
    let draws: Tensor<3> = Tensor::stack(draws.collect(), 0);
    let draws = draws.reshape([4000, FEATURES]);
    let draws = draws.clone() - draws.mean_dim(0);
    let sampled = draws.clone().transpose().matmul(draws) / 4000.0;
    let off = sampled.clone() - moments.covariance().unwrap().squeeze_dim(0);
    let size = |matrix: Tensor<2>| values(matrix.square().mean())[0].sqrt();
    // The noise of 4000 draws alone is a hundredth of a variance, whose like are on the diagonal.
    let scale = values(moments.variance().mean())[0];
    assert!(size(off) < 0.03 * scale, "of {scale}");
    assert!(size(sampled) > 0.09 * scale);
}

/// `J Σ Jᵀ` with Burn's layer's derivative by finite differences, of a row in which one feature is far from the others
/// and one in which none is.
#[test]
fn a_layer_norm_of_little_uncertainty_is_its_derivative() {
    const FEATURES: usize = 6;
    const STEP: f64 = 1e-5;
    let in_f64 = (&Device::flex(), DType::F64);
    let rows = [
        [9.0, 0.3, -0.5, 0.8, -1.1, 0.1],
        [0.2, 1.1, -0.7, 0.9, -1.4, -0.3],
    ];
    let mut norm = LayerNormConfig::new(FEATURES).init(&Device::flex());
    norm.gamma = Param::from_tensor(normals::<1>(13, [FEATURES], &Device::flex()).cast(DType::F64));
    norm.beta = None;
    let variances = [1.0, 0.3, 2.0, 0.1, 0.7, 4.0].map(|variance| 1e-10 * variance);
    let variance = Tensor::<2>::from_data(TensorData::from([variances]), in_f64);
    let identity = Tensor::<2>::eye(FEATURES, &Device::flex()).cast(DType::F64);
    let root = normals::<2>(14, [FEATURES, FEATURES], &Device::flex()).cast(DType::F64) * 1e-5;
    for row in rows {
        let mean = Tensor::<2>::from_data(TensorData::from([row]), in_f64);
        let columns = (0..FEATURES).map(|j| {
            let step = Tensor::<2>::from_data(
                TensorData::from([std::array::from_fn::<f64, FEATURES, _>(|k| {
                    if k == j { STEP } else { 0.0 }
                })]),
                in_f64,
            );
            let change =
                norm.forward(mean.clone() + step.clone()) - norm.forward(mean.clone() - step);
            change / (2.0 * STEP)
        });
        // The transposed derivative: a row for each input.
        let derivative = Tensor::cat(columns.collect(), 0);
        let of = |covariance: Tensor<2>| {
            let product = derivative.clone().transpose().matmul(covariance);
            product.matmul(derivative.clone())
        };
        let assert_near = |found: Tensor<2>, expected: Tensor<2>| {
            let largest = values(expected.clone().abs().max())[0];
            let off = values((found - expected).abs().max())[0];
            assert!(off < 1e-4 * largest, "{off} of {largest}, {row:?}");
        };

        let diagonal = identity.clone() * variance.clone();
        let expected = of(diagonal.clone());
        let alone = norm.forward_moments(Moments::new(mean.clone(), variance.clone()));
        let expected_alone = (expected.clone() * identity.clone()).sum_dim(0);
        assert_near(alone.variance(), expected_alone);
        let joint = Moments::new(mean.clone(), variance.clone()).with_covariances();
        let together = norm.forward_moments(joint).covariance().unwrap();
        assert_near(together.squeeze_dim(0), expected);

        let covariance = root.clone().matmul(root.clone().transpose());
        let joint = Moments::joint(mean, covariance.clone().unsqueeze());
        let together = norm.forward_moments(joint).covariance().unwrap();
        assert_near(together.squeeze_dim(0), of(covariance));
    }
}

#[test]
fn deep_covariances_are_semidefinite() {
    let net = Net::new(&[3, 30, 30, 30], 0.3);
    let x = joint(&net, Moments::certain(inputs(3, 3)).with_covariances());
    for (moments, rounding) in [
        (x.clone(), 1e-5),
        (x.clone().relu(), 1e-5),
        (x.clone().tanh(), 1e-5),
        (Gelu::new().forward_moments(x.clone()), 1e-5),
        (x.leaky_relu(0.2), 1e-5),
    ] {
        assert_semidefinite(&moments, rounding);
    }
}

#[test]
fn gradients_are_finite_where_nothing_is_uncertain() {
    let device = Device::flex().autodiff();
    let leaf = |values: [[f32; 2]; 2]| Tensor::<2>::from_floats(values, &device).require_grad();
    let (mean, variance) = (
        leaf([[0.0, 1.0], [2.0, -1.0]]),
        leaf([[0.0, 0.5], [0.0, 0.0]]),
    );
    let layer = seeded_throughout(LinearConfig::new(2, 2).init(&device), 6);
    for f in [Joint::relu, Joint::tanh, Joint::gelu] {
        let x = Moments::new(mean.clone(), variance.clone()).with_covariances();
        let y = layer.forward_moments(f(layer.forward_moments(x)));
        let loss = y.covariance().unwrap().sum() + y.mean.sum();
        let gradients = loss.backward();
        for leaf in [&mean, &variance] {
            let gradient = values(leaf.grad(&gradients).unwrap());
            assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
        }
    }
}

#[test]
fn batches_without_rows_have_covariances_without_rows() {
    let net = Net::new(&[3, 7, 5, 2], 0.3);
    let x = Tensor::<2>::zeros([0, 3], &Device::flex());
    let output = joint(&net, Moments::certain(x).with_covariances());
    assert_eq!(output.dims(), [0, 2]);
}

#[test]
fn parts_of_a_batch_make_the_batch() {
    let net = Net::new(&[3, 7, 5, 2], 0.3);
    let x = inputs(5, 3);
    let of = |x| joint(&net, Moments::certain(x).with_covariances());
    let whole = of(x.clone());
    let parts = Moments::of_rows(vec![of(x.clone().narrow(0, 0, 3)), of(x.narrow(0, 3, 2))]);
    assert_eq!(
        parts.mean.clone().into_data(),
        whole.mean.clone().into_data()
    );
    let both = [parts.covariance(), whole.covariance()];
    let [parts, whole] = both.map(|covariance| covariance.unwrap());
    assert!(values((parts - whole).abs().max())[0] < 1e-6);
}

#[test]
fn a_shift_moves_means_alone() {
    let (x, _) = correlated(2, 3);
    let shifted = x.clone() + Tensor::ones([1, 3], &Device::flex());
    assert_eq!(
        shifted.covariance().unwrap().into_data(),
        x.covariance().unwrap().into_data()
    );
    assert_eq!(values(shifted.mean), values(x.mean + 1.0));
}

#[test]
#[should_panic(expected = "don't broadcast to [4, 3]")]
fn rows_with_covariances_do_not_broadcast() {
    let (x, _) = correlated(1, 3);
    let _ = x + Tensor::ones([4, 3], &Device::flex());
}

#[test]
#[should_panic(expected = "8193 features have 67125249 covariances")]
fn a_layer_too_wide_for_covariances_is_refused() {
    let layer = LinearConfig::new(2, 8193).init(&Device::flex());
    let (x, _) = correlated(1, 2);
    let _ = layer.forward_moments(x);
}

#[test]
#[should_panic(expected = "share a dropout mask along axis 1")]
fn features_that_share_a_mask_are_refused() {
    let dropout = McDropoutConfig::new(0.3).with_shared_axes(vec![1]).init();
    let (x, _) = correlated(1, 2);
    let _ = joint(&dropout, x);
}

#[test]
#[should_panic(expected = "need covariances of shape [2, 3, 3], got [1, 3, 3]")]
fn covariances_of_other_rows_are_refused() {
    let device = Device::flex();
    let _ = Moments::joint(
        Tensor::ones([2, 3], &device),
        Tensor::ones([1, 3, 3], &device),
    );
}
