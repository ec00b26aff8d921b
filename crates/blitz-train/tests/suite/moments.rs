//! Predictions in one pass, beside those by draws.

use blitz_train::blitz_core::MomentsError;
use blitz_train::blitz_layers::moments::{Correlated, Correlations, ForwardMoments, Moments};
use blitz_train::distribution::{Distribution, Normal};
use blitz_train::prelude::*;
use blitz_train::{
    HeteroscedasticLikelihoodConfig, LaplaceLikelihoodConfig, Link, MomentsPredictor,
    MomentsPredictorConfig, PoissonLikelihoodConfig, PredictError, StudentTLikelihoodConfig,
    predict_draws, predict_moments,
};
use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::{loader, standard_errors_off};

/// One hidden layer, whose moments are exact.
#[derive(Module, Debug)]
struct Net {
    hidden: BayesianLinear,
    output: BayesianLinear,
}

impl Net {
    fn new(outputs: usize, std: f64, device: &Device) -> Self {
        let layer = |inputs, outputs| {
            let config = BayesianLinearConfig::new(inputs, outputs);
            config.with_posterior(PosteriorConfig::normal(std))
        };
        let net = Self {
            hidden: layer(2, 20).init(device),
            output: layer(20, outputs).init(device),
        };
        let means = |mut means: Self| {
            means.hidden.weight = means.hidden.weight.map(|w| known(w, 0.8));
            means.output.weight = means.output.weight.map(|w| known(w, 0.4));
            means.hidden.bias = means.hidden.bias.map(|bias| bias.map(|b| b.zeros_like()));
            means.output.bias = means.output.bias.map(|bias| bias.map(|b| b.zeros_like()));
            Ok::<_, std::convert::Infallible>(means)
        };
        let Ok(net) = net.map_means(means);
        net
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

/// Waves of that height, the same in every run.
fn known(like: Tensor<2>, height: f32) -> Tensor<2> {
    let [rows, columns] = like.dims();
    let values = (0..rows * columns).map(|i| height * (1.7 * i as f32 + 0.3).sin());
    let values: Vec<f32> = values.collect();
    Tensor::<1>::from_floats(values.as_slice(), &like.device()).reshape([rows, columns])
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        Net::forward(self, input)
    }
}

impl ForwardMoments<Moments<2>> for Net {
    type Output = Moments<2>;

    fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
        let x = self.hidden.forward_moments(x).relu();
        self.output.forward_moments(x)
    }
}

fn inputs() -> Tensor<2> {
    Tensor::from_floats([[1.0, -0.5], [0.2, 2.0], [-3.0, 1.5]], &Device::flex())
}

const DRAWS: usize = 20_000;

#[test]
fn a_regression_has_the_parts_of_its_draws() {
    /// Deviations from the mean to a target.
    const Z: f64 = 0.8;
    let device = Device::flex();
    let net = Net::new(1, 0.2, &device);
    let noise = LikelihoodParam::Fixed(0.3);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device);
    let once = predict_moments(&net, inputs(), &likelihood).unwrap();
    let draws = likelihood.predictive(predict_draws(&net, DRAWS, 3, |net| net.forward(inputs())));
    let pairs = draws.mean().into_iter().zip(draws.std_dev());
    let targets: Vec<f64> = pairs.map(|(mean, std)| mean + Z * std).collect();
    let (nll, nll_by_draws) = (once.nll(&targets), draws.nll(&targets));
    for (i, components) in draws.components().enumerate() {
        let std = draws.epistemic_std()[i];
        // Of 20,000 draws: five standard errors of the mean, and of a deviation of nearly normal outputs.
        let off = (once.mean()[i] - draws.mean()[i]) / std;
        assert!(off.abs() < 5.0 / (DRAWS as f64).sqrt(), "{off}");
        let off = once.epistemic_std()[i] / std - 1.0;
        assert!(off.abs() < 5.0 / (DRAWS as f64).sqrt(), "{off}");
        assert!((once.aleatoric_std()[i] - 0.3).abs() < 1e-6);
        let normal = Normal {
            mean: once.mean()[i],
            std: once.std_dev()[i],
        };
        let off = nll[i] + normal.ln_pdf(targets[i]);
        assert!(off.abs() < 5e-3, "{off} off a hundred quantiles' normal");
        // The draws' outputs are skewed, which a normal is not: the logarithms of the densities differ by the first
        // term of Edgeworth's series, of which half is left to the other terms.
        let (mean, std_dev) = (draws.mean()[i], draws.std_dev()[i]);
        let cubes = components
            .iter()
            .map(|normal| ((normal.mean - mean) / std_dev).powi(3));
        let skewness = cubes.sum::<f64>() / DRAWS as f64;
        let term = skewness / 6.0 * (Z.powi(3) - 3.0 * Z);
        let share = (nll[i] - nll_by_draws[i]) / term;
        assert!((share - 1.0).abs() < 0.5, "{i}: {share} of {term}");
    }
    assert_eq!(once.interval(0.9).len(), 3);
}

/// One layer: the output is normal, and its predictive distribution known.
#[test]
fn a_bayesian_linear_regression_has_its_exact_predictive_distribution() {
    let device = Device::flex();
    let layer = BayesianLinearConfig::new(2, 1)
        .with_posterior(PosteriorConfig::normal(0.2))
        .init(&device);
    let noise = LikelihoodParam::Fixed(0.5);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device);
    let predictive = predict_moments(&layer, inputs(), &likelihood).unwrap();
    // More quantiles, for the tails.
    let config = MomentsPredictorConfig::new().with_quantiles(2000);
    let fine = config.init(&layer, &likelihood).predict(inputs()).unwrap();
    let means = layer.with_mean(|layer| layer.forward(inputs()));
    let x = [[1.0, -0.5], [0.2, 2.0], [-3.0, 1.5]];
    for (i, mean) in means.into_data().iter::<f64>().enumerate() {
        // σ² (|x|² + 1) + 0.25, the bias among them.
        let epistemic: f64 = 0.04 * (x[i][0] * x[i][0] + x[i][1] * x[i][1] + 1.0);
        let exact = Normal {
            mean,
            std: (epistemic + 0.25).sqrt(),
        };
        assert!((predictive.epistemic_std()[i] - epistemic.sqrt()).abs() < 1e-5);
        for z in [-2.5, -1.0, 0.0, 0.7, 2.0] {
            let mut targets = [0.0; 3];
            targets[i] = exact.mean + z * exact.std;
            let off = |p: &NormalMixture| p.log_density(&targets)[i] - exact.ln_pdf(targets[i]);
            assert!(off(&fine).abs() < 5e-3, "{z}: {}", off(&fine));
            // The tails of a hundred quantiles are short.
            let bound = if z.abs() < 2.0 { 0.01 } else { 0.03 };
            assert!(off(&predictive).abs() < bound, "{z}: {}", off(&predictive));
        }
    }
}

#[test]
#[should_panic(expected = "at least two quantiles, got 1")]
fn one_draw_of_a_link_is_refused() {
    let net = Net::new(3, 0.15, &Device::flex());
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    let link = Link::MonteCarlo { draws: 1, seed: 0 };
    let _ = predictor.predict_linked(inputs(), link);
}

#[test]
fn a_classification_has_the_probabilities_and_entropies_of_its_draws() {
    let device = Device::flex();
    let net = Net::new(3, 0.15, &device);
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    let once = predictor.predict(inputs()).unwrap();
    let linked = predictor.predict_linked(inputs(), Link::Probit).unwrap();
    let plain = predictor
        .predict_linked(inputs(), Link::PlainProbit)
        .unwrap();
    let link = Link::MonteCarlo {
        draws: 1000,
        seed: 1,
    };
    let many = predictor.predict_linked(inputs(), link).unwrap();
    let draws = likelihood.predictive(predict_draws(&net, DRAWS, 3, |net| net.forward(inputs())));
    assert_eq!((once.draws(), linked.draws(), many.draws()), (100, 1, 1000));
    for example in 0..3 {
        let expected = draws.probabilities(example);
        // The draws' own standard error is 0.5 / √20,000 at most, 0.004. The rest is what each approximation may be
        // off.
        for (way, bound) in [
            (&once, 0.02),
            (&many, 0.015),
            (&linked, 0.03),
            (&plain, 0.08),
        ] {
            let pairs = way.probabilities(example).into_iter().zip(&expected);
            let off = pairs.map(|(p, e)| (p - e).abs()).fold(0.0, f64::max);
            assert!(off < bound, "example {example}: {off}");
        }
    }
    // The outputs of one pass count as independent and normal, those of a draw are neither: so much is left of the
    // information at these seeds.
    let left = [&once, &many].map(|way| {
        let pairs = way.mutual_information().into_iter();
        let pairs = pairs.zip(draws.mutual_information());
        pairs.map(|(one, all)| one / all).collect::<Vec<_>>()
    });
    for (got, expected) in left
        .iter()
        .zip([[0.965, 0.911, 0.851], [0.970, 0.936, 0.962]])
    {
        let off = got.iter().zip(expected).map(|(g, e)| (g - e).abs());
        assert!(off.fold(0.0, f64::max) < 5e-3, "{left:?}");
    }
}

/// Panics unless a number of the components of the predictive distribution in one pass has the mean that it has over
/// draws, by its standard error.
fn assert_mean_of_draws<L, C>(net: &Net, likelihood: &L, number: impl Fn(&C) -> f64)
where
    L: Likelihood<Output = Tensor<2>, Predictive = Mixture<C>>,
    C: Distribution,
{
    let numbers = |mixture: &Mixture<C>| {
        let of_target = |components: &[C]| components.iter().map(&number).collect();
        mixture
            .components()
            .map(of_target)
            .collect::<Vec<Vec<f64>>>()
    };
    let once = predict_moments(net, inputs(), likelihood).unwrap();
    let draws = likelihood.predictive(predict_draws(net, DRAWS, 3, |net| net.forward(inputs())));
    let (once, draws) = (numbers(&once), numbers(&draws));
    assert_eq!((once.len(), draws.len()), (3, 3));
    for (i, (once, draws)) in once.iter().zip(&draws).enumerate() {
        let mean = once.iter().sum::<f64>() / once.len() as f64;
        let off = standard_errors_off(draws, mean);
        let likelihood = std::any::type_name::<L>();
        assert!(
            off.abs() < 5.0,
            "{likelihood}, example {i}: {off} standard errors"
        );
    }
}

#[test]
fn every_likelihood_of_rows_has_the_mean_of_its_draws_in_one_pass() {
    let device = Device::flex();
    let net = Net::new(1, 0.1, &device);
    let student_t = StudentTLikelihoodConfig::new().init(&device);
    assert_mean_of_draws(&net, &student_t, Distribution::mean);
    let laplace = LaplaceLikelihoodConfig::new().init(&device);
    assert_mean_of_draws(&net, &laplace, Distribution::mean);
    let poisson = PoissonLikelihoodConfig::new().init();
    assert_mean_of_draws(&net, &poisson, Distribution::mean);
    let bernoulli = BernoulliLikelihoodConfig::new().init();
    assert_mean_of_draws(&net, &bernoulli, Distribution::mean);
    let net = Net::new(2, 0.1, &device);
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new().init();
    assert_mean_of_draws(&net, &heteroscedastic, Distribution::mean);
    // The other output is the logarithm of a deviation.
    assert_mean_of_draws(&net, &heteroscedastic, |normal| normal.std.ln());
}

#[test]
fn a_network_without_posteriors_predicts_as_it_is() {
    let device = Device::flex();
    let net = Net::new(1, 0.1, &device).mean_network();
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let once = predict_moments(&net, inputs(), &likelihood).unwrap();
    assert_eq!(once, likelihood.predictive(vec![net.forward(inputs())]));
}

#[test]
fn a_predictor_repeats_itself_and_predicts_loaders() {
    struct Rows;

    impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Rows {
        fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
            let rows = items
                .iter()
                .map(|i| inputs().narrow(0, *i as usize, 1).to_device(device));
            let inputs = Tensor::cat(rows.collect(), 0);
            LabeledBatch {
                targets: inputs.clone(),
                inputs,
            }
        }
    }

    fn assert_send_sync<T: Send + Sync>(_: &T) {}

    let device = Device::flex().autodiff();
    let net = Net::new(1, 0.1, &device);
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let predictor: MomentsPredictor<_, _> = MomentsPredictorConfig::new().init(&net, &likelihood);
    assert_send_sync(&predictor);
    let first = predictor.predict(inputs()).unwrap();
    assert_eq!(predictor.predict(inputs()).unwrap(), first);
    let loader = loader(Rows, 3, 2, &device);
    let mut told = Vec::new();
    let all = predictor
        .predict_all(loader.as_ref(), |p| told.push(p.items_processed))
        .unwrap();
    assert_eq!(told, [2, 3]);
    let pairs = all.predictive.mean().into_iter().zip(first.mean());
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
    assert_eq!(all.targets.len(), 2);
}

/// Leaves its last layer out of its moments.
#[derive(Module, Debug)]
struct Forgetful {
    net: Net,
}

impl ForwardMoments<Moments<2>> for Forgetful {
    type Output = Moments<2>;

    fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
        let x = self.net.hidden.forward_moments(x).relu();
        Moments::certain(self.net.output.forward(x.mean))
    }
}

#[test]
fn a_network_that_forgets_a_layer_is_refused_by_name() {
    let device = Device::flex();
    let net = Forgetful {
        net: Net::new(1, 0.1, &device),
    };
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let error = predict_moments(&net, inputs(), &likelihood).unwrap_err();
    let PredictError::Moments(MomentsError::LeftOut { parts }) = &error else {
        panic!("{error}")
    };
    assert!(
        parts.iter().all(|part| part.contains("output.")),
        "{parts:?}"
    );
    assert_eq!(parts.len(), 2);
}

#[test]
fn an_input_that_is_not_finite_is_named() {
    let device = Device::flex();
    let net = Net::new(1, 0.1, &device);
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let bad = Tensor::<2>::from_floats([[1.0, 2.0], [0.0, f32::NAN]], &device);
    let error = predict_moments(&net, bad, &likelihood).unwrap_err();
    assert_eq!(error.to_string(), "example 1: its input in column 1 is NaN");
}

#[test]
#[should_panic(expected = "at least two quantiles, got 1")]
fn one_quantile_is_no_distribution() {
    let device = Device::flex();
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let _ = MomentsPredictorConfig::new()
        .with_quantiles(1)
        .init(&Net::new(1, 0.1, &device), &likelihood);
}

/// Two hidden layers, of which the second shares the uncertainty of the first.
#[derive(Module, Debug)]
struct Deep {
    first: Net,
    output: BayesianLinear,
}

impl Deep {
    fn new(outputs: usize, device: &Device) -> Self {
        let output = BayesianLinearConfig::new(20, outputs)
            .with_posterior(PosteriorConfig::normal(0.1))
            .init(device);
        let mut first = Net::new(20, 0.15, device);
        first.output.bias = None;
        let deep = Self { first, output };
        let means = |mut means: Self| {
            means.output.weight = means.output.weight.map(|w| known(w, 0.4));
            means.output.bias = means.output.bias.map(|bias| bias.map(|b| b.zeros_like()));
            Ok::<_, std::convert::Infallible>(means)
        };
        let Ok(deep) = deep.map_means(means);
        deep
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.first.forward(x)))
    }
}

impl<C: Correlations> ForwardMoments<Moments<2, C>> for Deep {
    type Output = Moments<2, C>;

    fn forward_moments(&self, x: Moments<2, C>) -> Moments<2, C> {
        let x = self.first.hidden.forward_moments(x).relu();
        let x = self.first.output.forward_moments(x).relu();
        self.output.forward_moments(x)
    }
}

#[test]
fn covariances_bring_a_deep_network_near_its_draws() {
    let device = Device::flex();
    let net = Deep::new(3, &device);
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    let alone = predictor.predict(inputs()).unwrap();
    let predictor = predictor.with_covariances();
    let together = predictor.predict(inputs()).unwrap();
    let linked = predictor.predict_linked(inputs(), Link::Probit).unwrap();
    let draws = likelihood.predictive(predict_draws(&net, DRAWS, 3, |net| net.forward(inputs())));
    let off = |way: &CategoricalMixture| {
        let pairs = way.mutual_information().into_iter();
        let pairs = pairs.zip(draws.mutual_information());
        pairs
            .map(|(one, all)| (one / all - 1.0).abs())
            .fold(0.0, f64::max)
    };
    let offs = [&together, &alone].map(off);
    assert!(offs[0] < 0.1 && offs[1] > 2.0 * offs[0], "{offs:?}");
    for (way, bound) in [(&together, 0.015), (&linked, 0.04)] {
        for example in 0..3 {
            let pairs = way.probabilities(example).into_iter();
            let pairs = pairs.zip(draws.probabilities(example));
            let off = pairs.map(|(p, e)| (p - e).abs()).fold(0.0, f64::max);
            assert!(off < bound, "example {example}: {off}");
        }
    }
}

/// The identity, whose output is what it is given.
#[derive(Module, Debug)]
struct Given {
    layer: BayesianLinear,
}

impl ForwardMoments<Moments<2, Correlated>> for Given {
    type Output = Moments<2, Correlated>;

    fn forward_moments(&self, x: Moments<2, Correlated>) -> Moments<2, Correlated> {
        let Moments { mean, .. } = self.layer.forward_moments(x);
        let covariance = Tensor::<2>::from_floats([[4.0, 3.6], [3.6, 9.0]], &mean.device());
        let [rows, _] = mean.dims();
        Moments::joint(mean, covariance.unsqueeze::<3>().repeat_dim(0, rows))
    }
}

#[test]
fn values_have_the_covariance_of_the_outputs() {
    let device = Device::flex();
    let layer = BayesianLinearConfig::new(2, 2).init(&device);
    let net = Given { layer };
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .init(&device);
    let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    let predictive = predictor.with_covariances().predict(inputs()).unwrap();
    for example in 0..3 {
        let values: Vec<[f64; 2]> = predictive
            .components()
            .collect::<Vec<_>>()
            .chunks(2)
            .nth(example)
            .map(|pair| {
                let columns = pair[0].iter().zip(pair[1].iter());
                columns.map(|(a, b)| [a.mean, b.mean]).collect()
            })
            .unwrap();
        let moment = |i: usize, j: usize| {
            let center = |i: usize| values.iter().map(|v| v[i]).sum::<f64>() / values.len() as f64;
            let products = values
                .iter()
                .map(|v| (v[i] - center(i)) * (v[j] - center(j)));
            products.sum::<f64>() / values.len() as f64
        };
        for (i, j, expected) in [(0, 0, 4.0), (0, 1, 3.6), (1, 1, 9.0)] {
            assert!((moment(i, j) - expected).abs() < 1e-4, "{}", moment(i, j));
        }
    }
}

#[test]
fn a_predictor_with_covariances_takes_batches_apart_and_names_inputs() {
    let device = Device::flex();
    // So wide that four rows are propagated at a time.
    let config = |inputs, outputs| {
        let config = BayesianLinearConfig::new(inputs, outputs);
        config.with_posterior(PosteriorConfig::normal(0.05))
    };
    let net = Wide {
        first: config(2, 4).init(&device),
        second: config(4, 1024).init(&device),
        output: config(1024, 2).init(&device),
    };
    let likelihood = CategoricalLikelihoodConfig::new(2).init();
    let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    let predictor = predictor.with_covariances();
    let x = Tensor::cat(vec![inputs(), inputs()], 0);
    let all = predictor.moments(x).unwrap();
    assert_eq!(all.dims(), [6, 2]);
    let host = |moments: &Moments<2, Correlated>, row: usize| {
        let covariance = moments.covariance().unwrap().narrow(0, row, 1);
        covariance.into_data().iter::<f64>().collect::<Vec<_>>()
    };
    let three = predictor.moments(inputs()).unwrap();
    for row in 0..6 {
        let pairs = host(&all, row).into_iter().zip(host(&three, row % 3));
        assert!(pairs.into_iter().all(|(a, b)| (a / b - 1.0).abs() < 1e-4));
    }
    let bad = Tensor::<2>::from_floats([[1.0, 2.0], [0.0, f32::NAN]], &device);
    let error = predictor.predict(bad).unwrap_err();
    assert_eq!(error.to_string(), "example 1: its input in column 1 is NaN");
}

#[derive(Module, Debug)]
struct Wide {
    first: BayesianLinear,
    second: BayesianLinear,
    output: BayesianLinear,
}

impl ForwardMoments<Moments<2, Correlated>> for Wide {
    type Output = Moments<2, Correlated>;

    fn forward_moments(&self, x: Moments<2, Correlated>) -> Moments<2, Correlated> {
        let x = self
            .second
            .forward_moments(self.first.forward_moments(x).relu());
        self.output.forward_moments(x.tanh())
    }
}
