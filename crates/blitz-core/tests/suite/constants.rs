//! The numbers of posteriors and priors that do not train are saved, and restored.

use blitz_core::prelude::*;
use blitz_core::{
    BuiltinPrior, BuiltinVariational, Constants, HorseshoePriorConfig, LaplacePosteriorConfig,
    MopedVariational, NormalPosterior, NormalPosteriorConfig, NormalPrior, Posterior, Prior,
    Variational,
};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::store::{BurnpackStore, ModuleRecord, ModuleSnapshot, RecordError, SafetensorsStore};
use burn::tensor::{Bytes, DType, Device, Tensor};

use crate::net::{linear, scalar, values};

fn layer(posterior: PosteriorConfig, prior: PriorConfig) -> Linear {
    let config = BayesianizeConfig::new()
        .with_posterior(posterior)
        .with_prior(prior);
    linear(3, 2, true, 0.5, &Device::flex()).bayesianize(&config)
}

fn student_t(df: f64) -> Linear {
    layer(PosteriorConfig::student_t(df, 0.1), PriorConfig::default())
}

fn attached(layer: &Linear) -> &BuiltinVariational {
    layer.weight.reparameterization().unwrap()
}

fn posterior_constants(layer: &Linear) -> Vec<f64> {
    attached(layer)
        .posterior
        .constants()
        .unwrap()
        .values()
        .to_vec()
}

fn prior_constants(layer: &Linear) -> Vec<f64> {
    attached(layer).prior.constants().unwrap().values().to_vec()
}

fn deviation(layer: &Linear) -> f32 {
    layer.weight_marginals()[0].std_devs[0]
}

/// Through the bytes of a record, as a file would.
fn reload(from: &Linear, into: Linear) -> Result<Linear, RecordError> {
    into.try_load_record(ModuleRecord::from_bytes(bytes(from)).unwrap())
}

fn bytes(layer: &Linear) -> Bytes {
    layer.clone().into_record().into_bytes().unwrap()
}

#[test]
fn a_record_has_the_degrees_of_freedom_of_its_posterior() {
    let saved = student_t(3.0);
    // At other degrees of freedom the same ρ is another deviation.
    let loaded = reload(&saved, student_t(30.0)).unwrap();
    assert_eq!(posterior_constants(&loaded), [3.0]);
    assert!((deviation(&loaded) - 0.1).abs() < 1e-6);
    let draw = |layer: &Linear| values(layer.with_draw(5, 0, |layer| layer.weight.val()));
    assert_eq!(draw(&loaded), draw(&saved));
    assert_eq!(
        scalar(loaded.with_draw(5, 0, BayesianModule::kl_cost)),
        scalar(saved.with_draw(5, 0, BayesianModule::kl_cost))
    );
}

#[test]
fn files_of_burns_stores_have_them_as_well() {
    let saved = student_t(3.0);
    let file = |ending: &str| {
        let name = format!("blitz-constants-{}.{ending}", std::process::id());
        std::env::temp_dir().join(name)
    };

    let path = file("bpk");
    saved.clone().save_file(&path).unwrap();
    let loaded = student_t(30.0).load_file(&path);
    assert_eq!(posterior_constants(&loaded), [3.0]);
    let mut loaded = student_t(30.0);
    loaded
        .load_from(&mut BurnpackStore::from_file(&path))
        .unwrap();
    assert_eq!(posterior_constants(&loaded), [3.0]);
    std::fs::remove_file(&path).unwrap();

    let path = file("safetensors");
    saved
        .save_into(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    let mut loaded = student_t(30.0);
    loaded
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    assert_eq!(posterior_constants(&loaded), [3.0]);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_numbers_of_every_prior_are_restored() {
    let horseshoe = |scale, smoothing| {
        let config = HorseshoePriorConfig::new().with_scale(scale);
        PriorConfig::Horseshoe(config.with_smoothing(smoothing))
    };
    let pairs = [
        (PriorConfig::normal(0.3), PriorConfig::normal(1.0)),
        (PriorConfig::laplace(0.3), PriorConfig::laplace(1.0)),
        (
            PriorConfig::student_t(2.5, 0.3),
            PriorConfig::student_t(7.0, 1.0),
        ),
        (
            PriorConfig::scale_mixture(0.25, 0.9, 0.01),
            PriorConfig::scale_mixture(0.5, 1.0, 0.002),
        ),
        (horseshoe(0.3, 1e-2), horseshoe(1.0, 1e-3)),
    ];
    for (saved, other) in pairs {
        for posterior in [PosteriorConfig::normal(0.1), PosteriorConfig::laplace(0.1)] {
            let saved = layer(posterior.clone(), saved.clone());
            let other = layer(posterior, other.clone());
            assert_ne!(prior_constants(&saved), prior_constants(&other));
            let loaded = reload(&saved, other).unwrap();
            assert_eq!(prior_constants(&loaded), prior_constants(&saved));
            let kl = |layer: &Linear| scalar(layer.with_draw(5, 0, BayesianModule::kl_cost));
            assert_eq!(kl(&loaded), kl(&saved));
        }
    }
}

#[test]
fn the_prior_of_moped_is_restored() {
    let moped = |std: f64| {
        let config = MopedConfig::new().with_prior(Some(PriorConfig::normal(std)));
        linear(3, 2, true, 0.5, &Device::flex()).moped(&config)
    };
    let loaded = reload(&moped(0.2), moped(1.0)).unwrap();
    let variational: &MopedVariational = loaded.weight.reparameterization().unwrap();
    let BuiltinPrior::Normal(prior) = &variational.prior.prior else {
        panic!("{:?}", variational.prior)
    };
    assert_eq!(prior.std, 0.2);
}

#[test]
fn a_record_of_another_family_is_refused_by_name() {
    let normal = || layer(PosteriorConfig::normal(0.1), PriorConfig::normal(1.0));
    let laplace = || layer(PosteriorConfig::normal(0.1), PriorConfig::laplace(1.0));
    let error = reload(&normal(), laplace()).unwrap_err().to_string();
    assert!(
        error.contains("weight.bayes.constants.prior.Laplace"),
        "{error}"
    );
    let group = |name| {
        let prior = PriorConfig::empirical_normal(Some(name));
        layer(PosteriorConfig::normal(0.1), prior)
    };
    assert!(reload(&group("one"), group("one")).is_ok());
    let error = reload(&group("one"), group("two")).unwrap_err().to_string();
    assert!(error.contains("EmpiricalNormal(two)"), "{error}");

    // The posteriors of these two are made of the same tensor.
    fn own<Q: Posterior>(posterior: impl Fn(WeightInfo<'_>) -> Q) -> Linear {
        let layer = linear(3, 2, true, 0.5, &Device::flex());
        layer.attach_posteriors(|weight| Some((posterior(weight), NormalPrior::new(1.0))))
    }
    use blitz_core::WeightInfo;
    let normal = own(|weight| NormalPosteriorConfig::new().init(weight.shape, weight.device));
    let laplace = own(|weight| LaplacePosteriorConfig::new().init(weight.shape, weight.device));
    let error = reload(&normal, laplace).unwrap_err().to_string();
    assert!(error.contains("constants.posterior.Laplace"), "{error}");
}

#[test]
fn a_number_out_of_its_range_is_refused_with_its_value() {
    let saved = student_t(3.0);
    // The layout, then the upper and the lower half of 3.0.
    let words = |df: f64| {
        let bits = df.to_bits();
        [1, (bits >> 32) as u32, bits as u32].map(u32::to_le_bytes)
    };
    let damaged = |df: f64| {
        let mut bytes = bytes(&saved).to_vec();
        let (from, to) = (words(3.0).concat(), words(df).concat());
        let found = (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(&from));
        let found: Vec<usize> = found.collect();
        assert_eq!(found.len(), 2, "one for the weight and one for the bias");
        for at in found {
            bytes[at..at + to.len()].copy_from_slice(&to);
        }
        ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).unwrap()
    };
    let loaded = student_t(30.0).try_load_record(damaged(5.0)).unwrap();
    assert_eq!(posterior_constants(&loaded), [5.0]);
    for (df, said) in [(1.5, "got 1.5"), (f64::NAN, "got NaN")] {
        let error = student_t(30.0).try_load_record(damaged(df)).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("degrees of freedom must be above 2") && error.contains(said),
            "{error}"
        );
    }
}

/// As a layer was traversed before constants were saved: there are none, and every parameter has an identity of Burn's.
#[derive(Debug, Clone)]
struct Before(Linear);

struct BeforeVisitor<'a, V>(&'a mut V);

impl<V: ModuleVisitor> ModuleVisitor for BeforeVisitor<'_, V> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut param = param.clone();
        param.id = ParamId::from(param.id.val() & 0x0000_00FF_FFFF_FFFF);
        self.0.visit_float(&param);
    }
}

impl Module for Before {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visit(&mut BeforeVisitor(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self(Module::map(self.0, mapper))
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.0.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork(device))
    }

    fn valid(&self) -> Self {
        Self(self.0.valid())
    }

    fn train(self) -> Self {
        Self(self.0.train())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialize())
    }
}

#[test]
fn a_record_from_before_constants_were_saved_loads() {
    let saved = student_t(3.0);
    let record = Before(saved.clone()).into_record();
    assert_eq!(
        (saved.clone().into_record().len(), record.len()),
        (8, 4),
        "weight and bias, their ρ, and 2 × 2 constants"
    );
    // It cannot say its numbers: they are those of the module.
    let loaded = student_t(30.0).try_load_record(record).unwrap();
    assert_eq!(posterior_constants(&loaded), [30.0]);
    assert_eq!(values(loaded.weight.base()), values(saved.weight.base()));
    // From now on its records have them.
    assert_eq!(loaded.clone().into_record().len(), 8);
    let again = reload(&loaded, student_t(3.0)).unwrap();
    assert_eq!(posterior_constants(&again), [30.0]);
    assert_eq!(deviation(&again), deviation(&loaded));
}

/// Casts every floating-point parameter.
struct Half;

impl ModuleMapper for Half {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::F16))
    }
}

#[test]
fn a_cast_to_half_precision_leaves_them_exact() {
    let saved = student_t(2.1).map(&mut Half);
    let loaded = reload(&saved, student_t(30.0)).unwrap();
    assert_eq!(posterior_constants(&loaded), [2.1]);
}

#[test]
fn they_are_no_parameters() {
    let layer = student_t(3.0);
    assert_eq!(layer.num_params(), 8 + 8);
    assert_eq!(layer.num_posterior_params(), 16);
    assert_eq!(layer.num_bayesian_weights(), 8);
    assert_eq!(layer.mean_network().into_record().len(), 2);
    let unchanged = layer.map_means(Ok::<_, std::convert::Infallible>).unwrap();
    assert_eq!(posterior_constants(&unchanged), [3.0]);

    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::student_t(3.0, 0.1));
    let layer = LinearConfig::new(3, 2).init(&device).bayesianize(&config);
    let loss = layer.with_draw(1, 0, |layer| layer.weight.val().sum());
    let gradients = GradientsParams::from_grads(loss.backward(), &layer);
    let layer = AdamConfig::new().init().step(1.0, layer, gradients);
    assert_eq!(posterior_constants(&layer), [3.0]);
    assert_eq!(posterior_constants(&layer.valid().train()), [3.0]);
}

/// A prior of a user's own, with and without a word on what is saved of it.
#[derive(Module, Debug)]
struct Own<const SAVED: bool> {
    scale: f64,
}

impl<const SAVED: bool> Prior for Own<SAVED> {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        (weight.abs() / self.scale).sum().neg()
    }

    fn constants(&self) -> Option<Constants> {
        SAVED.then(|| Constants::new("Own", [self.scale]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), blitz_core::ConstantError> {
        self.scale = values[0];
        Ok(())
    }
}

#[test]
fn a_family_of_ones_own_says_what_is_saved_of_it() {
    fn with<const SAVED: bool>(scale: f64) -> Linear {
        linear(3, 2, true, 0.5, &Device::flex()).attach_posteriors(|weight| {
            let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
            Some((posterior, Own::<SAVED> { scale }))
        })
    }
    fn scale<const SAVED: bool>(layer: &Linear) -> f64 {
        let attached = layer.weight.reparameterization();
        let attached: &Variational<NormalPosterior, Own<SAVED>> = attached.unwrap();
        attached.prior.scale
    }
    let loaded = reload(&with::<true>(0.3), with::<true>(2.0)).unwrap();
    assert_eq!(scale::<true>(&loaded), 0.3);
    let loaded = reload(&with::<false>(0.3), with::<false>(2.0)).unwrap();
    assert_eq!(scale::<false>(&loaded), 2.0);
}
