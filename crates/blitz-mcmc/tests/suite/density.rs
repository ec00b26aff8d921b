//! The log density and its gradient.

use blitz_mcmc::{LogDensity, McmcError, Weight, device};
use blitz_train::prelude::*;
use blitz_train::{
    Exposed, HeteroscedasticLikelihoodConfig, LaplaceLikelihoodConfig, NetworkPosterior,
    PoissonLikelihoodConfig, StudentTLikelihoodConfig, WithExposure,
};
use burn::module::{Lora, Module, ModuleDisplay, Param, ParamGroup, Quantizer};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, GruConfig, Linear, LinearConfig,
    LstmConfig, PositionalEncodingConfig, RnnConfig,
};
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Device, Tensor};

use crate::networks::{Line, Mlp, gaussian, normals, points, table};

/// The largest relative distance of a density's gradient from central differences, at a few positions.
fn gradient_error<N: Module, F: Fn(&N) -> Tensor<1>>(density: &LogDensity<N, F>) -> f64 {
    let mut worst = 0.0f64;
    for seed in 0..3 {
        let position = normals(100 + seed, density.len());
        let mut gradient = vec![0.0; density.len()];
        density.evaluate(&position, &mut gradient);
        for index in 0..density.len() {
            let mut unused = vec![0.0; density.len()];
            let mut at = |step: f64| {
                let mut moved = position.clone();
                moved[index] += step;
                density.evaluate(&moved, &mut unused)
            };
            // Of the fourth order: 7e-10 are left of it where a horseshoe is steepest, and 1e-10 of rounding.
            let h = 2e-4;
            let near = at(h) - at(-h);
            let far = at(2.0 * h) - at(-2.0 * h);
            let expected = (8.0 * near - far) / (12.0 * h);
            worst = worst.max((gradient[index] - expected).abs() / expected.abs().max(1.0));
        }
    }
    worst
}

#[test]
fn gradients_are_those_of_finite_differences_for_every_fixed_prior() {
    let data = || LabeledBatch {
        inputs: table(&normals(1, 24), 2),
        targets: table(&normals(2, 12), 1),
    };
    let priors = [
        PriorConfig::normal(0.7),
        PriorConfig::laplace(0.5),
        PriorConfig::student_t(3.0, 0.6),
        PriorConfig::scale_mixture(0.4, 1.0, 0.3),
        PriorConfig::horseshoe(1.0),
    ];
    for prior in priors {
        let network = Mlp::new(2, 3, 1);
        let density =
            LogDensity::new(&network, &gaussian(0.5), |_| prior.clone(), vec![data()]).unwrap();
        assert_eq!(density.len(), 2 * 3 + 3 + 3 + 1);
        let error = gradient_error(&density);
        assert!(error < 1e-6, "{prior:?}: {error:e}");
    }
}

#[test]
fn gradients_are_those_of_finite_differences_for_labels_and_for_counts_with_an_exposure() {
    let device = Device::flex();
    let labels = LabeledBatch {
        inputs: table(&normals(1, 12), 2),
        targets: Tensor::from_ints([0, 2, 1, 1, 0, 2], &device),
    };
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    let prior = |_: &Weight| PriorConfig::normal(1.0);
    let density = LogDensity::new(&Mlp::new(2, 2, 3), &likelihood, prior, vec![labels]).unwrap();
    assert!(gradient_error(&density) < 1e-6);

    let counts = LabeledBatch {
        inputs: Exposed {
            inputs: table(&normals(1, 6), 2),
            log_exposure: table(&normals(3, 3), 1),
        },
        targets: table(&[0.0, 3.0, 1.0], 1),
    };
    let network = WithExposure {
        network: Line::new(2),
    };
    let likelihood = PoissonLikelihoodConfig::new().init();
    let density = LogDensity::new(&network, &likelihood, prior, vec![counts]).unwrap();
    assert!(gradient_error(&density) < 1e-6);
}

#[test]
fn the_density_is_that_of_plain_arithmetic_whatever_the_batches() {
    let data = points(10, 2.0);
    let x: Vec<f64> = data.inputs.to_data().iter().collect();
    let y: Vec<f64> = data.targets.to_data().iter().collect();
    let normal =
        |z: f64, std: f64| -0.5 * (z / std).powi(2) - std.ln() - 0.5 * std::f64::consts::TAU.ln();
    let (w, b) = (1.3, -0.4);
    let of_data: f64 = x
        .iter()
        .zip(&y)
        .map(|(x, y)| normal(y - w * x - b, 0.3))
        .sum();
    let expected = of_data + normal(w, 2.0) + normal(b, 0.5);

    let part = |start, len| LabeledBatch {
        inputs: data.inputs.clone().narrow(0, start, len),
        targets: data.targets.clone().narrow(0, start, len),
    };
    for batches in [vec![data.clone()], vec![part(0, 3), part(3, 7)]] {
        let prior = |weight: &Weight| match weight.path.as_str() {
            "layer.bias" => PriorConfig::normal(0.5),
            _ => PriorConfig::normal(2.0),
        };
        let density = LogDensity::new(&Line::new(1), &gaussian(0.3), prior, batches).unwrap();
        let value = density.evaluate(&[w, b], &mut [0.0; 2]);
        // The deviation of the noise is kept in `f32`.
        assert!(
            (value / expected - 1.0).abs() < 1e-6,
            "{value} for {expected}"
        );
    }
}

#[test]
fn a_weight_that_is_tied_is_one_weight() {
    #[derive(Module, Debug)]
    struct Twice {
        first: Linear,
        second: Linear,
    }

    impl Network for Twice {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.second.forward(self.first.forward(x).tanh())
        }
    }

    let first = LinearConfig::new(2, 2).init(&Device::flex());
    let network = Twice {
        second: first.clone(),
        first,
    };
    let data = LabeledBatch {
        inputs: table(&normals(1, 8), 2),
        targets: table(&normals(2, 8), 2),
    };
    let noise = LikelihoodParam::Fixed(0.5);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(noise)
        .init(&Device::flex());
    let density = LogDensity::new(
        &network,
        &likelihood,
        |_| PriorConfig::normal(1.0),
        vec![data],
    )
    .unwrap();
    assert_eq!(density.len(), 4 + 2);
    assert!(gradient_error(&density) < 1e-6);
}

#[test]
fn a_weight_that_does_not_train_is_not_sampled() {
    let mut network = Line::new(3);
    network.layer.weight = network.layer.weight.set_require_grad(false);
    let data = LabeledBatch {
        inputs: table(&normals(1, 12), 3),
        targets: table(&normals(2, 4), 1),
    };
    let density = LogDensity::new(
        &network,
        &gaussian(0.5),
        |_| PriorConfig::normal(1.0),
        vec![data],
    )
    .unwrap();
    assert_eq!(density.weights()[0].path, "layer.bias");
    assert_eq!(density.len(), 1);
    assert!(gradient_error(&density) < 1e-6);
}

#[derive(Module, Debug)]
struct WithDropout {
    layer: Linear,
    dropout: Dropout,
}

impl Network for WithDropout {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layer.forward(self.dropout.forward(x))
    }
}

#[test]
fn dropout_in_training_is_refused_and_in_prediction_accepted() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let network = WithDropout {
            layer: LinearConfig::new(4, 1).init(&device),
            dropout: DropoutConfig::new(0.5).init(),
        };
        let data = LabeledBatch {
            inputs: table(&normals(1, 40), 4),
            targets: table(&normals(2, 10), 1),
        };
        let density = |network: &WithDropout| {
            let prior = |_: &Weight| PriorConfig::normal(1.0);
            LogDensity::new(network, &gaussian(0.5), prior, vec![data.clone()]).map(|_| ())
        };
        let error = density(&network).unwrap_err();
        assert!(matches!(error, McmcError::Training { .. }), "{error}");
        assert!(error.to_string().contains("network.valid()"), "{error}");
        density(&network.valid()).unwrap();
    }
}

#[test]
fn a_frozen_copy_of_a_layer_is_not_sampled_with_it() {
    /// Two layers of one id: what trains, and what it is a copy of.
    #[derive(Module, Debug)]
    struct Pair {
        layers: Vec<Linear>,
    }

    impl Network for Pair {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let [first, second] = [0, 1].map(|at| self.layers[at].forward(x.clone()));
            first + second
        }
    }

    let student = Line::new(2).layer;
    let mut teacher = student.clone();
    teacher.weight = teacher.weight.map(|weight| weight + 0.5);
    let teacher = teacher.freeze();
    assert_eq!(student.weight.id, teacher.weight.id);
    let known = teacher.weight.val();
    for layers in [
        vec![student.clone(), teacher.clone()],
        vec![teacher.clone(), student.clone()],
    ] {
        let at = layers
            .iter()
            .position(|layer| blitz_train::blitz_core::trains(&layer.weight))
            .unwrap();
        let data = LabeledBatch {
            inputs: table(&normals(1, 20), 2),
            targets: table(&normals(2, 10), 1),
        };
        let prior = |_: &Weight| PriorConfig::laplace(1.0);
        let network = Pair { layers };
        let density = LogDensity::new(&network, &gaussian(0.5), prior, vec![data.clone()]).unwrap();
        assert_eq!(density.len(), 3);
        assert!(gradient_error(&density) < 1e-6);
        // By hand: the teacher adds what it is, wherever it stands.
        let position = [0.3f64, -0.2, 0.7];
        let rows = data.inputs.clone();
        let weight = Tensor::from_data([[0.3], [-0.2]], &Device::flex());
        let output = rows.clone().matmul(weight) + 0.7 + teacher.forward(rows);
        let z = (output - data.targets.clone()) / 0.5;
        let of_data = -0.5 * f64::from(z.square().sum().into_scalar::<f32>())
            - 10.0 * (0.5f64.ln() + 0.5 * std::f64::consts::TAU.ln());
        let of_prior: f64 = position.iter().map(|w| -w.abs() - 2f64.ln()).sum();
        let got = density.evaluate(&position, &mut [0.0; 3]);
        let expected = of_data + of_prior;
        assert!((got - expected).abs() < 1e-4, "{got} for {expected}");
        // Nor is it what a chain's networks have.
        let posterior = blitz_mcmc::NutsConfig::new()
            .with_chains(1)
            .with_warm_up(20)
            .with_draws(4)
            .init()
            .run(&density)
            .unwrap();
        let again = blitz_mcmc::McmcPosterior::new(&network, posterior.draws().clone()).unwrap();
        for posterior in [posterior, again] {
            let drawn = posterior.draw_network(0, 3);
            let weight = drawn.layers[1 - at].weight.val();
            weight.into_data().assert_eq(&known.to_data(), true);
        }
    }
}

#[test]
fn monte_carlo_dropout_is_refused_until_it_is_frozen() {
    #[derive(Module, Debug)]
    struct Net {
        layer: Linear,
        dropout: blitz_train::blitz_layers::McDropout,
    }

    impl Network for Net {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.layer.forward(self.dropout.forward(x))
        }
    }

    let network = Net {
        layer: LinearConfig::new(4, 1).init(&Device::flex()),
        dropout: blitz_train::blitz_layers::McDropoutConfig::new(0.5).init(),
    };
    let data = LabeledBatch {
        inputs: table(&normals(1, 40), 4),
        targets: table(&normals(2, 10), 1),
    };
    let density = |network: &Net| {
        let prior = |_: &Weight| PriorConfig::normal(1.0);
        LogDensity::new(network, &gaussian(0.5), prior, vec![data.clone()]).map(|_| ())
    };
    assert!(matches!(
        density(&network.valid()),
        Err(McmcError::Training { .. })
    ));
    density(&network.freeze_sampling().valid()).unwrap();
}

#[test]
fn a_batch_norm_in_training_is_refused_and_keeps_its_statistics() {
    #[derive(Module, Debug)]
    struct Net {
        norm: BatchNorm,
        layer: Linear,
    }

    impl Network for Net {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.layer.forward(self.norm.forward(x))
        }
    }

    let device = Device::flex().autodiff();
    let network = Net {
        norm: BatchNormConfig::new(2).init(&device),
        layer: LinearConfig::new(2, 1).init(&device),
    };
    let data = LabeledBatch {
        inputs: table(&normals(1, 20), 2) + 3.0,
        targets: table(&normals(2, 10), 1),
    };
    let density = |network: &Net| {
        let prior = |_: &Weight| PriorConfig::normal(1.0);
        LogDensity::new(network, &gaussian(0.5), prior, vec![data.clone()])
    };
    assert!(matches!(density(&network), Err(McmcError::Training { .. })));
    let mean = |network: &Net| {
        network
            .norm
            .running_mean
            .value_sync()
            .into_data()
            .iter::<f64>()
            .collect::<Vec<_>>()
    };
    assert_eq!(mean(&network), [0.0, 0.0]);
    let in_prediction = density(&network.valid()).unwrap();
    assert!(gradient_error(&in_prediction) < 1e-6);
    assert_eq!(mean(&network), [0.0, 0.0]);
}

#[test]
fn a_network_that_is_bayesian_and_priors_that_learn_are_refused_by_the_weights_path() {
    let data = || vec![points(5, 1.0)];
    let bayesian = Line::new(1).bayesianize(&BayesianizeConfig::new());
    let error = LogDensity::new(
        &bayesian,
        &gaussian(0.3),
        |_| PriorConfig::normal(1.0),
        data(),
    );
    let error = error.map(|_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("layer.weight has a posterior already"),
        "{error}"
    );

    for prior in [
        PriorConfig::learned_normal(1.0),
        PriorConfig::learned_laplace(1.0),
        PriorConfig::empirical_normal(None),
    ] {
        let density = LogDensity::new(&Line::new(1), &gaussian(0.3), |_| prior.clone(), data());
        let error = density.map(|_| ()).unwrap_err();
        assert!(matches!(error, McmcError::LearnedPrior { .. }), "{error}");
    }
    let empty = LogDensity::new(
        &Line::new(1),
        &gaussian(0.3),
        |_| PriorConfig::normal(1.0),
        vec![],
    );
    assert!(matches!(empty.map(|_| ()), Err(McmcError::Empty)));
}

#[test]
fn a_module_that_is_no_network_has_a_density_too() {
    let layer = LinearConfig::new(1, 1).init(&Device::flex());
    let x = Tensor::<2>::from_data([[1.0f64], [2.0]], (&device(), burn::tensor::DType::F64));
    let nll = move |layer: &Linear| {
        let output: Tensor<2> = layer.forward(x.clone());
        output.square().sum_dim(1).squeeze_dim::<1>(1)
    };
    let density = LogDensity::of_nll(&layer, |_| PriorConfig::normal(1.0), nll).unwrap();
    assert!(gradient_error(&density) < 1e-6);
}

#[test]
fn a_density_that_is_a_number_the_first_time_only_is_refused() {
    let calls = std::cell::Cell::new(0);
    let nll = |line: &Line| {
        calls.set(calls.get() + 1);
        // The first call counts the examples.
        let factor = if calls.get() > 2 { f64::NAN } else { 1.0 };
        line.layer.weight.val().flatten::<1>(0, 1) * factor
    };
    let density = LogDensity::of_nll(&Line::new(1), |_| PriorConfig::normal(1.0), nll);
    let error = density.map(|_| ()).unwrap_err();
    assert!(matches!(error, McmcError::Training { .. }), "{error}");
}

#[test]
fn a_likelihood_whose_gradient_is_not_that_of_its_value_is_refused() {
    let data = || LabeledBatch {
        inputs: table(&normals(1, 24), 2),
        targets: table(&normals(2, 12), 1),
    };
    let prior = |_: &Weight| PriorConfig::normal(1.0);
    // Also where the network says σ = 1 itself, which hides it.
    for network in [Mlp::new(2, 3, 2), still(2, 3, 2)] {
        for (beta, expected) in [(0.5, true), (1.0, true), (0.0, false)] {
            let likelihood = HeteroscedasticLikelihoodConfig::new()
                .with_beta(beta)
                .init();
            let density = LogDensity::new(&network, &likelihood, prior, vec![data()]);
            let is_refused = matches!(density.map(|_| ()), Err(McmcError::Gradient { .. }));
            assert_eq!(is_refused, expected, "{beta}");
        }
    }
    // A part of the network that the gradient doesn't reach.
    let x = Tensor::<2>::from_data(data().inputs.into_data(), (&device(), DType::F64));
    let nll = move |network: &Mlp| {
        let hidden = network.hidden.forward(x.clone()).tanh().detach();
        network.out.forward(hidden).square().flatten::<1>(0, 1)
    };
    let density = LogDensity::of_nll(&Mlp::new(2, 3, 1), prior, nll);
    let error = density.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("the slope"), "{error}");
}

/// A network of weights that are zero.
fn still(inputs: usize, hidden: usize, outputs: usize) -> Mlp {
    struct Zero;

    impl burn::module::ModuleMapper for Zero {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            param.map(|value| value.zeros_like())
        }
    }

    Mlp::new(inputs, hidden, outputs).map(&mut Zero)
}

#[test]
fn kinks_and_steep_or_flat_densities_are_no_fault_of_the_gradient() {
    #[derive(Module, Debug)]
    struct Rectified {
        hidden: Linear,
        out: Linear,
    }

    impl Network for Rectified {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let hidden = burn::tensor::activation::relu(self.hidden.forward(x));
            self.out.forward(hidden)
        }
    }

    let device = Device::flex();
    for (units, size) in [(3, 1.0), (200, 1.0), (200, 1e3), (20, 1e-4)] {
        let network = Rectified {
            hidden: LinearConfig::new(2, units).init(&device),
            out: LinearConfig::new(units, 1).init(&device),
        };
        // Half of the inputs are zero, so that units begin at their kink.
        let mut inputs = normals(1, 1000);
        inputs.extend([0.0; 1000]);
        let data = || LabeledBatch {
            inputs: table(&inputs, 2) * size,
            targets: table(&normals(2, 1000), 1),
        };
        for prior in [
            PriorConfig::normal(1e-3),
            PriorConfig::normal(1e6),
            PriorConfig::laplace(0.5),
            PriorConfig::horseshoe(1.0),
        ] {
            for noise in [1e-3, 1.0, 1e4] {
                LogDensity::new(&network, &gaussian(noise), |_| prior.clone(), vec![data()])
                    .unwrap();
            }
            let laplace = LaplaceLikelihoodConfig::new().init(&device);
            LogDensity::new(&network, &laplace, |_| prior.clone(), vec![data()]).unwrap();
            let t = StudentTLikelihoodConfig::new().init(&device);
            LogDensity::new(&network, &t, |_| prior.clone(), vec![data()]).unwrap();
        }
    }
}

/// Three sequences of two steps, with a target each.
fn sequences() -> LabeledBatch<Tensor<3>, Tensor<2>> {
    LabeledBatch {
        inputs: table(&normals(1, 12), 2).reshape([3, 2, 2]),
        targets: table(&normals(2, 3), 1),
    }
}

#[test]
fn a_layer_of_burns_that_computes_in_the_devices_type_is_refused_by_its_path() {
    #[derive(Module, Debug)]
    struct Net<L: Module + ModuleDisplay> {
        recurrent: L,
        out: Linear,
    }

    fn refused<L: Module + ModuleDisplay>(
        name: &str,
        recurrent: L,
        forward: impl Fn(&L, Tensor<3>) -> Tensor<3>,
    ) {
        let net = Net {
            recurrent,
            out: LinearConfig::new(2, 1).init(&Device::flex()),
        };
        let x = Tensor::<3>::from_data(sequences().inputs.into_data(), (&device(), DType::F64));
        let nll = |net: &Net<L>| {
            let hidden = forward(&net.recurrent, x.clone());
            net.out.forward(hidden).square().flatten::<1>(0, 2)
        };
        let density = LogDensity::of_nll(&net, |_| PriorConfig::normal(1.0), nll);
        let error = density.map(|_| ()).unwrap_err();
        assert!(matches!(error, McmcError::Precision { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("recurrent ({name})")), "{text}");
        assert!(text.contains("configure(FloatDType::F64)"), "{text}");
    }

    let device = Device::flex();
    let lstm = LstmConfig::new(2, 2, true).init(&device);
    refused("Lstm", lstm, |lstm, x| lstm.forward(x, None).0);
    let gru = GruConfig::new(2, 2, true).init(&device);
    refused("Gru", gru, |gru, x| gru.forward(x, None));
    let rnn = RnnConfig::new(2, 2, true).init(&device);
    refused("Rnn", rnn, |rnn, x| rnn.forward(x, None).0);
    let position = PositionalEncodingConfig::new(2).init(&device);
    refused("PositionalEncoding", position, |position, x| {
        position.forward(x)
    });
}

#[test]
#[should_panic(expected = "a fault of the caller's")]
fn another_panic_of_a_likelihood_stays_one() {
    let nll = |_: &Line| -> Tensor<1> { panic!("a fault of the caller's") };
    let _ = LogDensity::of_nll(&Line::new(1), |_| PriorConfig::normal(1.0), nll);
}

#[test]
fn the_mean_network_of_blitzs_own_recurrent_layers_has_a_density() {
    #[derive(Module, Debug)]
    struct Net {
        lstm: BayesianLstm,
        gru: BayesianGru,
        out: Linear,
    }

    impl Network for Net {
        type Input = Tensor<3>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<3>) -> Tensor<2> {
            let (hidden, _) = self.gru.forward(self.lstm.forward(x, None).0, None);
            let [batch, steps, size] = hidden.dims();
            let last = hidden.narrow(1, steps - 1, 1).reshape([batch, size]);
            self.out.forward(last)
        }
    }

    let device = Device::flex();
    let network = Net {
        lstm: BayesianLstmConfig::new(2, 1, true).init(&device),
        gru: BayesianGruConfig::new(1, 2, true).init(&device),
        out: LinearConfig::new(2, 1).init(&device),
    };
    let prior = |_: &Weight| PriorConfig::normal(1.0);
    let density = LogDensity::new(
        &network.mean_network(),
        &gaussian(0.5),
        prior,
        vec![sequences()],
    );
    let error = gradient_error(&density.unwrap());
    assert!(error < 1e-6, "{error:e}");
}

#[test]
fn a_tensor_that_is_no_parameter_comes_along() {
    #[derive(Module, Debug)]
    struct Net {
        layer: Linear,
        /// Of `f64`, since Burn's mappers see neither it nor its type.
        offset: Tensor<2>,
    }

    impl Network for Net {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.layer.forward(x + self.offset.clone())
        }
    }

    for device in [Device::flex(), Device::flex().autodiff()] {
        let network = Net {
            layer: LinearConfig::new(1, 1).init(&device),
            offset: Tensor::from_data([[0.5f64]], (&device, DType::F64)),
        };
        let prior = |_: &Weight| PriorConfig::normal(1.0);
        let data = vec![points(5, 1.0)];
        let density = LogDensity::new(&network, &gaussian(0.5), prior, data).unwrap();
        assert_eq!(density.len(), 2);
        assert!(gradient_error(&density) < 1e-6);
    }
}

#[test]
fn of_adapted_weights_the_factors_are_sampled_and_the_base_counts() {
    let network = Mlp::new(2, 3, 1).apply_lora(Lora::new(1, 2.0));
    let data = LabeledBatch {
        inputs: table(&normals(1, 24), 2),
        targets: table(&normals(2, 12), 1),
    };
    let prior = |_: &Weight| PriorConfig::normal(1.0);
    let density = LogDensity::new(&network, &gaussian(0.5), prior, vec![data.clone()]).unwrap();
    let paths: Vec<_> = density
        .weights()
        .iter()
        .map(|weight| &weight.path[..])
        .collect();
    let adapted = ["hidden.weight.lora", "out.weight.lora"];
    let expected = adapted.map(|weight| ["a", "b"].map(|factor| format!("{weight}.{factor}")));
    assert_eq!(paths, expected.concat());
    assert!(gradient_error(&density) < 1e-6);

    // Where the factors are zero, what is left of the likelihood is the base's.
    let zeros = vec![0.0; density.len()];
    let mut unused = vec![0.0; density.len()];
    let log_prior = -0.5 * std::f64::consts::TAU.ln() * density.len() as f64;
    let log_likelihood = density.evaluate(&zeros, &mut unused) - log_prior;
    let nll = gaussian(0.5).nll(network.forward(data.inputs), data.targets);
    let expected = -f64::from(nll.sum().into_scalar::<f32>());
    assert!(
        (log_likelihood / expected - 1.0).abs() < 1e-6,
        "{log_likelihood} and {expected}"
    );
}

#[test]
fn a_quantized_weight_counts_as_the_numbers_that_it_stands_for_and_is_not_sampled() {
    let data = || LabeledBatch {
        inputs: table(&normals(1, 24), 2),
        targets: table(&normals(2, 12), 1),
    };
    let scheme = Device::flex().settings().quantization.scheme;
    let scheme = scheme.with_value(QuantValue::Q8S);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    let group = ParamGroup::from_path("hidden.weight");
    let packed = Mlp::new(2, 16, 1).quantize_weights_group(&mut quantizer, group);
    let mut dense = packed.clone();
    dense.hidden.weight = Param::initialized(
        packed.hidden.weight.id,
        packed.hidden.weight.val().dequantize(),
    );
    let density = |network: &Mlp| {
        let prior = |_: &Weight| PriorConfig::normal(1.0);
        LogDensity::new(network, &gaussian(0.5), prior, vec![data()]).unwrap()
    };
    let (packed, dense) = (density(&packed), density(&dense));
    let paths = packed.weights().iter().map(|weight| &weight.path[..]);
    let paths: Vec<_> = paths.collect();
    assert_eq!(paths, ["hidden.bias", "out.weight", "out.bias"]);

    let mut gradients = [(); 2].map(|()| vec![0.0; dense.len()]);
    let position = normals(3, dense.len());
    let values = [
        packed.evaluate(&position, &mut gradients[0]),
        dense.evaluate(&position, &mut gradients[1]),
    ];
    assert_eq!(values[0], values[1]);
    assert_eq!(gradients[0], gradients[1]);
}
