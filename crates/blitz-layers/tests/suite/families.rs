//! Posteriors and priors of a user's own, in every layer with every estimator that they allow.

use std::collections::HashMap;
use std::fmt::Display;

use blitz_core::{
    Noise, NormalPosteriorConfig, NormalPrior, Posterior, PosteriorStructure, Prior, WeightInfo,
};
use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::models::{LeNetConfig, VggConfig};
use blitz_layers::prelude::*;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::activation::softplus;
use burn::tensor::{Device, Gradients, Int, Shape, Tensor};

use crate::seeded::{normals, seeded};
use crate::statistics::values;

/// `w = μ + a · u`, with u uniform in (−1, 1).
#[derive(Module, Debug)]
struct UniformPosterior {
    /// ln a, one number.
    log_width: Param<Tensor<1>>,
    /// Whether it can be had row by row.
    has_rows: bool,
}

impl UniformPosterior {
    fn width<const D: usize>(&self) -> Tensor<D> {
        self.log_width.val().exp().reshape([1; D])
    }
}

impl Posterior for UniformPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let u = noise.standard_normal(&mu).mul_scalar(0.5f64.sqrt()).erf();
        mu + u * self.width()
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        mu.ones_like() * self.width() / 3f64.sqrt()
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, _weight: Tensor<D>) -> Tensor<1> {
        (self.log_width.val() + 2f64.ln()) * -(mu.shape().num_elements() as f64)
    }

    fn rows(&self, _shape: &Shape, _rows: &[usize]) -> Option<Self> {
        self.has_rows.then(|| self.clone())
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::SignSymmetric
    }
}

/// The logistic density with a learned scale, `p(w) = e^(−w/s) / s (1 + e^(−w/s))²`.
#[derive(Module, Debug)]
struct LogisticPrior {
    log_scale: Param<Tensor<1>>,
}

impl Prior for LogisticPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let log_scale = self.log_scale.val().reshape([1; D]);
        let z = weight.abs() / log_scale.clone().exp();
        (z.clone() + softplus(z.neg(), 1.0) * 2.0 + log_scale)
            .sum()
            .neg()
    }
}

const WIDTH: f64 = 0.2;
const SCALE: f64 = 0.7;

fn own(weight: WeightInfo<'_>) -> (UniformPosterior, LogisticPrior) {
    let number = |value: f64| Param::from_tensor(Tensor::from_floats([value], weight.device));
    let posterior = UniformPosterior {
        log_width: number(WIDTH.ln()),
        has_rows: true,
    };
    let log_scale = number(SCALE.ln());
    (posterior, LogisticPrior { log_scale })
}

fn log_prior(weight: f64) -> f64 {
    let z = weight / SCALE;
    -z - SCALE.ln() - 2.0 * (-z).exp().ln_1p()
}

/// The weights of a module by their paths.
#[derive(Default)]
struct Weights {
    path: Vec<String>,
    by_path: HashMap<String, Vec<f64>>,
}

impl Weights {
    fn of<M: Module>(module: &M) -> HashMap<String, Vec<f64>> {
        let mut weights = Self::default();
        module.visit(&mut weights);
        weights.by_path
    }
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.by_path
            .insert(self.path.join("."), values(param.base()));
    }
}

/// The gradients of every width and every mean.
fn gradients<M: Module>(layer: &M, gradients: &Gradients) -> Vec<f64> {
    let posteriors = layer.posteriors::<UniformPosterior>();
    let of_width = |posterior: UniformPosterior| posterior.log_width.val().grad(gradients);
    posteriors
        .into_iter()
        .map(|attached| values(of_width(attached.posterior).unwrap())[0])
        .collect()
}

/// What a layer with these families has to do.
fn assert_takes<M: Module + Display>(
    make: impl Fn(&Device) -> M,
    tensors: usize,
    run: impl Fn(&M, &Device) -> Tensor<1>,
) {
    let device = Device::flex().autodiff();
    let layer = seeded(make(&device), 11);
    let what = layer.to_string();
    assert!(
        what.contains("posterior: Uniform, prior: Logistic"),
        "{what}"
    );
    assert_eq!(
        layer.posteriors::<UniformPosterior>().len(),
        tensors,
        "{what}"
    );

    // Forward: a function of the draw.
    let output = |layer: &M, index| values(layer.with_draw(3, index, |layer| run(layer, &device)));
    let drawn = output(&layer, 0);
    assert!(drawn.iter().all(|value| value.is_finite()), "{what}");
    assert_eq!(drawn, output(&layer, 0), "{what}");
    assert_ne!(drawn, output(&layer, 1), "{what}");

    // The weights of a draw are what the posterior says, and its KL is theirs.
    let means = Weights::of(&layer);
    let weights = Weights::of(&layer.sample_network(3, 0));
    let mut kl = 0.0;
    let mut furthest: f64 = 0.0;
    for attached in layer.posteriors::<UniformPosterior>() {
        for (weight, mean) in weights[&attached.path].iter().zip(&means[&attached.path]) {
            furthest = furthest.max((weight - mean).abs());
            kl += -(2.0 * WIDTH).ln() - log_prior(*weight);
        }
    }
    assert!(
        furthest < WIDTH * 1.000_01 && furthest > 0.5 * WIDTH,
        "{what}: {furthest}"
    );
    let got = layer.with_draw(3, 0, |layer| values(layer.kl_cost())[0]);
    assert!(
        (got - kl).abs() < 1e-4 * kl.abs().max(1.0),
        "{what}: {got} for {kl}"
    );

    // The gradient reaches the posterior's own parameters, through the output as well as through the KL.
    for of_output in [true, false] {
        let loss = layer.with_draw(3, 0, |layer| match of_output {
            true => run(layer, &device).square().sum(),
            false => layer.kl_cost(),
        });
        let gradients = gradients(&layer, &loss.backward());
        assert!(
            gradients.iter().all(|g| g.is_finite() && *g != 0.0),
            "{what}: {gradients:?}"
        );
    }

    // Frozen sampling is the mean mode.
    let mean = values(layer.with_mean(|layer| run(layer, &device)));
    assert_ne!(mean, drawn, "{what}");
    let frozen = layer.clone().freeze_sampling();
    assert_eq!(output(&frozen, 0), mean, "{what}");
    assert_eq!(output(&frozen.unfreeze_sampling(), 0), drawn, "{what}");

    // Records have all of it.
    let other = seeded(make(&device), 12);
    assert_ne!(output(&other, 0), drawn, "{what}");
    let loaded = other.load_record(layer.clone().into_record());
    assert_eq!(output(&loaded, 0), drawn, "{what}");
}

const ALLOWED: [Estimator; 2] = [Estimator::SharedWeights, Estimator::Flipout];

#[test]
fn linear_layers_take_families_of_a_users_own() {
    for estimator in ALLOWED {
        let config = BayesianLinearConfig::new(3, 2).with_estimator(estimator);
        assert_takes(
            |device| config.init_with(device, own),
            2,
            |layer, device| layer.forward(normals::<2>(1, [4, 3], device)).flatten(0, 1),
        );
    }
}

#[test]
fn convolutions_take_families_of_a_users_own() {
    macro_rules! assert_convolution_takes {
        ($config:expr, $input:expr) => {
            for estimator in ALLOWED {
                let config = $config.with_estimator(estimator);
                assert_takes(
                    |device| config.init_with(device, own),
                    2,
                    |layer, device| {
                        let output = layer.forward(normals(1, $input, device));
                        let last = output.dims().len() - 1;
                        output.flatten(0, last)
                    },
                );
            }
        };
    }
    assert_convolution_takes!(BayesianConv1dConfig::new(2, 2, 3), [2, 2, 5]);
    assert_convolution_takes!(BayesianConv2dConfig::new([2, 2], [2, 2]), [2, 2, 3, 4]);
    assert_convolution_takes!(
        BayesianConv3dConfig::new([1, 2], [2, 2, 2]),
        [2, 1, 3, 2, 3]
    );
    assert_convolution_takes!(BayesianConvTranspose1dConfig::new([2, 2], 3), [2, 2, 5]);
    assert_convolution_takes!(
        BayesianConvTranspose2dConfig::new([2, 2], [2, 2]),
        [2, 2, 3, 4]
    );
    assert_convolution_takes!(
        BayesianConvTranspose3dConfig::new([1, 2], [2, 2, 2]),
        [2, 1, 3, 2, 3]
    );
}

#[test]
fn recurrent_layers_take_families_of_a_users_own_in_all_layers_directions_and_gates() {
    for estimator in ALLOWED {
        let lstm = BayesianLstmConfig::new(3, 2, true)
            .with_num_layers(2)
            .with_bidirectional(true)
            .with_peephole(true)
            .with_estimator(estimator);
        assert_takes(
            |device| lstm.init_with(device, own),
            // Four gates of two maps with biases and three peepholes.
            4 * (4 * 4 + 3),
            |layer, device| {
                let (output, _) = layer.forward(normals(1, [2, 3, 3], device), None);
                output.flatten(0, 2)
            },
        );
        for reset_after in [true, false] {
            let gru = BayesianGruConfig::new(3, 2, true)
                .with_num_layers(2)
                .with_reset_after(reset_after)
                .with_estimator(estimator);
            assert_takes(
                |device| gru.init_with(device, own),
                2 * 3 * 4,
                |layer, device| {
                    let (output, _) = layer.forward(normals(1, [2, 3, 3], device), None);
                    output.flatten(0, 2)
                },
            );
        }
    }
}

#[test]
fn an_embedding_takes_families_of_a_users_own() {
    let config = BayesianEmbeddingConfig::new(10, 3);
    let words = |device: &Device| Tensor::<2, Int>::from_ints([[4, 0, 9], [4, 2, 0]], device);
    assert_takes(
        |device| config.init_with(device, own),
        1,
        |layer, device| layer.forward(words(device)).flatten(0, 2),
    );
}

#[test]
fn padding_pays_no_kl_to_a_users_own_prior_if_the_posterior_has_rows() {
    let device = Device::flex().autodiff();
    for (has_rows, paying) in [(true, 9), (false, 10)] {
        let layer = BayesianEmbeddingConfig::new(10, 3)
            .with_padding_idx(Some(4))
            .init_with(&device, |weight| {
                let (posterior, prior) = own(weight);
                (
                    UniformPosterior {
                        has_rows,
                        ..posterior
                    },
                    prior,
                )
            });
        let layer = seeded(layer, 11);
        let words = Tensor::<2, Int>::from_ints([[4, 0, 9]], &device);
        let output = values(layer.with_draw(1, 0, |layer| layer.forward(words)));
        assert_eq!(output[..3], [0.0; 3]);
        let kl = layer.with_draw(1, 0, |layer| layer.kl_cost());
        let gradients = kl.backward();
        let gradient = values(layer.weight.base().grad(&gradients).unwrap());
        let rows = gradient.chunks(3).enumerate();
        let pays = rows.filter(|(_, gradient)| gradient.iter().all(|g| *g != 0.0));
        let pays: Vec<usize> = pays.map(|(row, _)| row).collect();
        assert_eq!(pays.len(), paying, "{pays:?}");
        assert_eq!(pays.contains(&4), !has_rows);
    }
}

#[test]
fn networks_take_families_of_a_users_own_and_leave_batch_norm_alone() {
    let lenet = LeNetConfig::new(3)
        .with_image_size([12, 12])
        .with_estimator(Estimator::Flipout);
    assert_takes(
        |device| lenet.init_with(device, own),
        2 * 5,
        |net, device| {
            net.forward(normals(1, [2, 1, 12, 12], device))
                .flatten(0, 1)
        },
    );
    let vgg = VggConfig::vgg11(3)
        .with_width(2)
        .with_pooled_size(1)
        .with_hidden(8)
        .with_dropout(0.0);
    assert_takes(
        |device| vgg.init_with(device, own),
        2 * 11,
        |net, device| {
            net.forward(normals(1, [2, 3, 32, 32], device))
                .flatten(0, 1)
        },
    );
    let net = vgg.with_batch_norm(true).init_with(&Device::flex(), own);
    assert_eq!(net.posteriors::<UniformPosterior>().len(), 2 * 11);
}

#[test]
fn a_networks_families_are_chosen_by_the_path_in_the_network() {
    let mut paths = Vec::new();
    let mut last = Vec::new();
    let net = LeNetConfig::new(3).init_with(&Device::flex(), |weight| {
        paths.push(weight.path.to_string());
        if weight.in_last_layer {
            last.push(weight.path.to_string());
        }
        let std = if weight.path.starts_with("conv") {
            0.1
        } else {
            0.3
        };
        let posterior = NormalPosteriorConfig::new().with_initial_std(std);
        let posterior = posterior.init(weight.shape, weight.device);
        (posterior, NormalPrior::new(1.0))
    });
    let layers = ["conv1", "conv2", "fc1", "fc2", "fc3"];
    let expected = layers.map(|layer| ["weight", "bias"].map(|weight| format!("{layer}.{weight}")));
    assert_eq!(paths, expected.concat());
    assert_eq!(last, ["fc3.weight", "fc3.bias"]);
    for marginals in net.weight_marginals() {
        let std = if marginals.path.starts_with("conv") {
            0.1
        } else {
            0.3
        };
        let is_close = |got: &f32| (f64::from(*got) - std).abs() < 1e-6;
        assert!(
            marginals.std_devs.iter().all(is_close),
            "{}",
            marginals.path
        );
    }
}

#[test]
fn init_attaches_what_the_configuration_names() {
    let device = Device::flex();
    let config = BayesianLinearConfig::new(3, 2)
        .with_posterior(PosteriorConfig::radial(0.1))
        .with_prior(PriorConfig::laplace(0.5))
        .with_initializer(burn::nn::Initializer::Constant { value: 0.5 });
    let [init, init_with] = [
        config.init(&device),
        config.init_with(&device, |weight| {
            let posterior = config.weights.posterior.init(weight.shape, weight.device);
            (posterior, config.weights.prior.init(weight.device))
        }),
    ];
    let draw = |layer: &BayesianLinear| values(layer.sample_network(1, 0).weight.val());
    assert_eq!(draw(&init), draw(&init_with));
    let kl = |layer: &BayesianLinear| values(layer.with_draw(1, 0, |layer| layer.kl_cost()));
    assert_eq!(kl(&init), kl(&init_with));
}

#[test]
fn display_names_every_family_once() {
    let device = Device::flex();
    let normal =
        |weight: &WeightInfo<'_>| NormalPosteriorConfig::new().init(weight.shape, weight.device);
    for (layer, expected) in [
        (
            BayesianLinearConfig::new(2, 2)
                .with_posterior(PosteriorConfig::matrix_normal(0.1))
                .with_prior(PriorConfig::scale_mixture(0.5, 1.0, 0.1))
                .init(&device),
            "posterior: MatrixNormal and Normal, prior: ScaleMixture",
        ),
        (
            // Neither it nor its parameters are anything that a visitor passes.
            BayesianLinearConfig::new(2, 2)
                .init_with(&device, |weight| (normal(&weight), NormalPrior::new(1.0))),
            "posterior: LocationScale, prior: own",
        ),
        (
            BayesianLinearConfig::new(2, 2).init(&device).materialize(),
            "posterior: none, prior: none",
        ),
    ] {
        let display = layer.to_string();
        assert!(display.contains(expected), "{display}");
    }
}

/// A test for each posterior that an estimator would be wrong for, with the words it must be refused with.
macro_rules! refuses {
    ($($name:ident: $words:literal, $init:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $words)]
        fn $name() {
            let init: fn(&Device) = $init;
            init(&Device::flex());
        }
    )+};
}

refuses! {
    local_reparameterization_refuses_a_posterior_that_is_not_normal:
        "LocalReparameterization is wrong for the posterior of weight, whose structure is SignSymmetric: use Estimator::Flipout",
        |device| drop(
            BayesianLinearConfig::new(2, 2)
                .with_estimator(Estimator::LocalReparameterization)
                .with_posterior(PosteriorConfig::radial(0.1))
                .init(device)
        );
    local_reparameterization_refuses_a_users_own_posterior_by_its_structure:
        "LocalReparameterization is wrong for the posterior of weight, whose structure is SignSymmetric",
        |device| drop(
            BayesianConv2dConfig::new([2, 2], [2, 2])
                .with_estimator(Estimator::LocalReparameterization)
                .init_with(device, own)
        );
    flipout_refuses_a_posterior_whose_weights_vary_together:
        "Flipout is wrong for the posterior of input_gate.input_transform.weight, whose structure is General: use \
         Estimator::SharedWeights",
        |device| drop(
            BayesianLstmConfig::new(2, 2, true)
                .with_estimator(Estimator::Flipout)
                .with_posterior(PosteriorConfig::low_rank_normal(1, 0.1))
                .init(device)
        );
    a_network_refuses_a_posterior_with_the_path_of_its_weight:
        "the posterior of conv1.weight, whose structure is General",
        |device| drop(
            LeNetConfig::new(2)
                .with_estimator(Estimator::LocalReparameterization)
                .with_posterior(PosteriorConfig::low_rank_normal(1, 0.1))
                .init(device)
        );
}

#[test]
fn an_estimator_set_by_hand_reads_the_draws_weights_where_it_would_be_wrong() {
    let device = Device::flex();
    let layer = BayesianLinearConfig::new(3, 2)
        .with_posterior(PosteriorConfig::low_rank_normal(1, 0.3))
        .init(&device);
    let x = normals::<2>(1, [4, 3], &device);
    let draw = |estimator| {
        let layer = BayesianLinear {
            estimator,
            ..layer.clone()
        };
        values(layer.with_draw(1, 0, |layer| layer.forward(x.clone())))
    };
    let shared = draw(Estimator::SharedWeights);
    assert_eq!(draw(Estimator::LocalReparameterization), shared);
    assert_eq!(draw(Estimator::Flipout), shared);
}
