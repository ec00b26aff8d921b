//! The numbers of likelihoods and of the methods' posteriors that do not train are saved, and restored.

use blitz_train::blitz_core::Prior;
use blitz_train::blitz_core::{BayesianModule, NormalPrior, Posterior, Variational};
use blitz_train::prelude::*;
use blitz_train::{
    HeteroscedasticLikelihoodConfig, IvonConfig, IvonPosterior, LaplaceLikelihoodConfig,
    NegativeBinomialLikelihoodConfig, PoissonLikelihoodConfig, StudentTLikelihoodConfig, Swag,
    SwagConfig,
};
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, Int, Tensor};

use crate::{LinearNet as Net, values};

fn model<L: Likelihood>(likelihood: L) -> ElboModel<Net, L> {
    let layer = LinearConfig::new(1, 2).init(&Device::flex());
    ElboModel::new(Net { layer }, likelihood, ElboConfig::new(10).init())
}

/// Through the bytes of a record, as a file would.
fn reload<M: Module>(from: &M, into: M) -> Result<M, RecordError> {
    let bytes = from.clone().into_record().into_bytes().unwrap();
    into.try_load_record(ModuleRecord::from_bytes(bytes).unwrap())
}

/// The constants of a likelihood after its model was saved and loaded into one with another.
fn restored<L: Likelihood>(saved: L, other: L) -> Vec<f64> {
    assert_ne!(saved.constants(), other.constants());
    let loaded = reload(&model(saved), model(other)).unwrap();
    loaded.likelihood.constants().unwrap().values().to_vec()
}

#[test]
fn the_numbers_of_likelihoods_are_restored() {
    let heteroscedastic = |min_std, beta| {
        let config = HeteroscedasticLikelihoodConfig::new().with_min_std(min_std);
        config.with_beta(beta).init()
    };
    let values = restored(heteroscedastic(0.5, 0.5), heteroscedastic(1e-3, 0.0));
    assert_eq!(values, [1.0, 0.5, 0.5]);
    let categorical = |smoothing| {
        let config = CategoricalLikelihoodConfig::new(2);
        config.with_label_smoothing(smoothing).init()
    };
    assert_eq!(restored(categorical(0.1), categorical(0.0)), [2.0, 0.1]);
    let bernoulli = |targets| {
        let config = BernoulliLikelihoodConfig::new();
        config.with_targets(targets).init()
    };
    assert_eq!(restored(bernoulli(2), bernoulli(1)), [2.0]);
    let poisson = |targets| PoissonLikelihoodConfig::new().with_targets(targets).init();
    assert_eq!(restored(poisson(2), poisson(1)), [2.0]);

    // A fixed noise is a tensor, which a record always had.
    let noise = |std| {
        let config = GaussianLikelihoodConfig::new().with_targets(2);
        let config = config.with_noise(LikelihoodParam::Fixed(std));
        config.init(&Device::flex())
    };
    let loaded = reload(&model(noise(0.3)), model(noise(1.0))).unwrap();
    assert!((loaded.likelihood.noise_std()[0] - 0.3).abs() < 1e-7);
}

#[test]
fn a_saved_model_keeps_the_least_deviation_of_its_likelihood() {
    let heteroscedastic = |min_std| {
        let config = HeteroscedasticLikelihoodConfig::new();
        model(config.with_min_std(min_std).init())
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.bpk");
    let saved = heteroscedastic(2.0);
    saved.save(&file).unwrap();
    let loaded = heteroscedastic(1e-3).load_file(&file);
    let x = Tensor::<2>::ones([1, 1], &Device::flex());
    assert_eq!(loaded.predict(x.clone(), 3, 1), saved.predict(x, 3, 1));
}

#[test]
#[cfg(feature = "train")]
fn a_training_that_goes_on_from_a_checkpoint_has_its_numbers() {
    use crate::line::{line, loader};
    use burn::optim::AdamConfig;
    use burn::train::{Learner, SupervisedTraining};

    let folder = tempfile::tempdir().unwrap();
    let train = |min_std: f64, std: f64, epochs: usize, from: Option<usize>| {
        let device = Device::flex().autodiff();
        let config = BayesianizeConfig::new().with_prior(PriorConfig::normal(std));
        let layer = LinearConfig::new(1, 2).init(&device).bayesianize(&config);
        let likelihood = HeteroscedasticLikelihoodConfig::new().with_min_std(min_std);
        let elbo = ElboConfig::new(40).init();
        let model = ElboModel::new(Net { layer }, likelihood.init(), elbo);
        let mut training = SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
            .with_default_checkpointers()
            .renderer(Box::new(EpochLines::every(1000)))
            .num_epochs(epochs);
        if let Some(epoch) = from {
            training = training.checkpoint(epoch);
        }
        let adam = AdamConfig::new().init();
        fit(training, Learner::new(model, adam, 1e-3))
            .unwrap()
            .model
    };
    train(0.5, 0.3, 1, None);
    let model = train(1e-3, 1.0, 2, Some(1));
    assert_eq!(model.likelihood.min_std, 0.5);
    let attached = model.network.layer.weight.reparameterization();
    let attached: &blitz_train::blitz_core::BuiltinVariational = attached.unwrap();
    assert_eq!(attached.prior.constants().unwrap().values(), [0.3]);
}

#[test]
fn a_model_of_another_likelihood_is_refused_by_name() {
    let device = Device::flex();
    let error = reload(
        &model(PoissonLikelihoodConfig::new().init()),
        model(PoissonLikelihoodConfig::new().init()),
    );
    assert!(error.is_ok());
    // A record does not know the type of what it is loaded into.
    let record = model(PoissonLikelihoodConfig::new().init()).into_record();
    let bernoulli = model(BernoulliLikelihoodConfig::new().init());
    let error = bernoulli.try_load_record(record).unwrap_err().to_string();
    assert!(error.contains("constants.likelihood.Bernoulli"), "{error}");
    let names = [
        model(LaplaceLikelihoodConfig::new().init(&device))
            .likelihood
            .constants(),
        model(NegativeBinomialLikelihoodConfig::new().init(&device))
            .likelihood
            .constants(),
        model(StudentTLikelihoodConfig::new().init(&device))
            .likelihood
            .constants(),
        model(GaussianLikelihoodConfig::new().init(&device))
            .likelihood
            .constants(),
    ]
    .map(|constants| constants.unwrap().family().to_string());
    assert_eq!(
        names,
        ["Laplace", "NegativeBinomial", "StudentT", "Gaussian"]
    );
}

/// A record from before constants were saved: the step count has an identity of Burn's, and nothing else is there.
#[test]
fn a_record_from_before_constants_were_saved_loads() {
    #[derive(Module, Debug)]
    struct Before {
        network: Net,
        steps: Param<Tensor<1, Int>>,
    }

    let device = Device::flex();
    let heteroscedastic = |min_std| {
        let config = HeteroscedasticLikelihoodConfig::new();
        model(config.with_min_std(min_std).init())
    };
    let before = Before {
        network: heteroscedastic(1.0).network,
        steps: Param::initialized(ParamId::from(7), Tensor::from_data([12], &device)),
    };
    let loaded = heteroscedastic(0.25)
        .try_load_record(before.into_record())
        .unwrap();
    assert_eq!(loaded.steps(), 12);
    assert_eq!(loaded.likelihood.min_std, 0.25);
    // From now on its records have them.
    let again = reload(&loaded, heteroscedastic(1e-3)).unwrap();
    assert_eq!(again.likelihood.min_std, 0.25);
}

#[test]
fn ivons_deviations_are_those_that_were_saved() {
    let ivon = |ess: f64| {
        let layer = LinearConfig::new(2, 1).init(&Device::flex());
        IvonConfig::new(ess)
            .with_weight_decay(1.0 / ess)
            .attach(layer)
    };
    let (saved, other) = (ivon(1000.0), ivon(10.0));
    let deviations = |layer: &Linear| layer.weight_marginals()[0].std_devs.clone();
    assert_ne!(deviations(&saved), deviations(&other));
    let loaded = reload(&saved, other).unwrap();
    assert_eq!(deviations(&loaded), deviations(&saved));
    let kl = |layer: &Linear| values(layer.kl_cost());
    assert_eq!(kl(&loaded), kl(&saved));
    let attached = loaded.weight.reparameterization();
    let attached: &Variational<IvonPosterior, NormalPrior> = attached.unwrap();
    assert_eq!(
        attached.posterior.constants().unwrap().values(),
        [1000.0, 1e-3]
    );
}

#[test]
fn the_scale_of_swag_is_restored() {
    let network = LinearConfig::new(2, 1).init(&Device::flex());
    let swag = |scale: f64| SwagConfig::new().with_scale(scale).init(&network);
    let mut saved = swag(4.0);
    for step in 0..3 {
        let moved = network.clone().map(&mut Shift(f64::from(step)));
        saved.collect(&moved).unwrap();
    }
    let loaded = reload(&saved, swag(1.0)).unwrap();
    let draw = |swag: &Swag<Linear>| values(swag.sample_network(3, 0).weight.val());
    assert_eq!(draw(&loaded), draw(&saved));
}

struct Shift(f64);

impl ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight + self.0)
    }
}
